/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"

static int check_text (const char *what, const char *text, struct err *err)
{
  if (text && !fetch_header_safe (text))
    return err_code (err, ERR_USAGE, "the %s to be sent has control characters", what);
  return 0;
}

/* Does the request make sense? What is sent may have come from others. */
static int check_request (const struct fetch_request *request, struct err *err)
{
  bool file = request->sink == FETCH_TO_FILE;

  if (!request->urls || !request->urls[0])
    return err_code (err, ERR_USAGE, "there is no URL to fetch from");
  if (file && (!request->name || !*request->name || strchr (request->name, '/')))
    return err_code (err, ERR_USAGE, "there is no name for the file to fetch");
  if (request->sink == FETCH_TO_MEMORY && request->size_max == FETCH_SIZE_UNKNOWN)
    return err_code (err, ERR_USAGE, "there is no limit to what is fetched into memory");
  for (size_t i = 0; request->headers && request->headers[i]; i++)
    if (check_text ("header", request->headers[i], err) < 0)
      return -err->code;
  if (check_text ("user", request->user, err) < 0 ||
      check_text ("password", request->password, err) < 0 ||
      check_text ("token", request->bearer, err) < 0 ||
      check_text ("ETag", request->if_none_match, err) < 0 ||
      check_text ("date", request->if_modified_since, err) < 0)
    return -err->code;
  return 0;
}

/* A bad URL is a place that is dead from the start. ERR when all are. */
static int set_places (struct transfer *transfer, struct err *err)
{
  const struct fetch_request *request = transfer->request;
  size_t count = 0, alive = 0;

  while (request->urls[count])
    count++;
  transfer->places = xcalloc (count, sizeof transfer->places[0]);
  transfer->place_count = count;
  for (size_t i = count; i-- > 0;) {
    struct fetch_place *place = &transfer->places[i];

    if (fetch_place_init (transfer->fetch, request->urls[i], place, err) < 0) {
      place->dead = true;
      continue;
    }
    transfer->at = i;
    alive++;
  }
  if (!alive)
    return -err->code;
  err_release (err);
  return 0;
}

static int set_digests (struct transfer *transfer, struct err *err)
{
  const struct fetch_request *request = transfer->request;
  enum checksum_kind kind = CHECKSUM_NONE;

  transfer->expected = checksum_strongest (request->checksums, request->checksum_count);
  if (transfer->expected)
    kind = transfer->expected->kind;
  return checksummer_new (kind, request->want_sha256 ? CHECKSUM_SHA256 : CHECKSUM_NONE,
                          &transfer->sum, err);
}

void fetch_transfer_init (struct transfer *transfer, struct fetch *fetch,
                          struct fetch_request *request)
{
  struct err *err = &transfer->err;

  *transfer = (struct transfer){
      .fetch = fetch,
      .request = request,
      .total = FETCH_SIZE_UNKNOWN,
      .part_fd = -1,
      .memory = STRBUF_INIT (0),
      .refusal = STRBUF_INIT (FETCH_REFUSAL_MAX),
  };
  fetch_result_release (&request->result);
  request->result.size = FETCH_SIZE_UNKNOWN;
  request->result.weak = true;
  if (request->sink == FETCH_TO_MEMORY)
    transfer->memory.maximum =
        request->size_max < SIZE_MAX / 4 ? (size_t) request->size_max : SIZE_MAX / 4;
  transfer->link = fetch->last;
  *fetch->last = transfer;
  fetch->last = &transfer->next;
  if (check_request (request, err) < 0 || set_places (transfer, err) < 0)
    fetch_end_failed (transfer, FETCH_FORBIDDEN);
  else if (set_digests (transfer, err) < 0)
    fetch_end_failed (transfer, FETCH_LOCAL);
}

void fetch_end (struct transfer *transfer, enum fetch_outcome outcome)
{
  struct fetch_result *result = &transfer->request->result;
  bool full = result->err.code == ENOSPC || result->err.code == EDQUOT;
  struct strbuf *body = outcome == FETCH_DONE ? &transfer->memory : &transfer->refusal;

  fetch_try_release (transfer);
  fetch_part_close (transfer, full || transfer->offset == 0);
  if (transfer->request->sink == FETCH_TO_MEMORY || body->len) {
    result->body_len = body->len;
    result->body = strbuf_steal (body);
  }
  fetch_leave (transfer);
  result->outcome = outcome;
  transfer->state = TRANSFER_ENDED;
}

void fetch_end_failed (struct transfer *transfer, enum fetch_outcome outcome)
{
  struct fetch_result *result = &transfer->request->result;

  err_release (&result->err);
  result->err = transfer->err;
  transfer->err = (struct err){0};
  fetch_end (transfer, outcome);
}

void fetch_transfer_release (struct transfer *transfer)
{
  if (transfer->state != TRANSFER_ENDED) {
    fetch_try_release (transfer);
    fetch_part_close (transfer, transfer->offset == 0);
    fetch_leave (transfer);
  }
  *transfer->link = transfer->next;
  if (transfer->next)
    transfer->next->link = transfer->link;
  else
    transfer->fetch->last = transfer->link;
  for (size_t i = 0; i < transfer->place_count; i++)
    fetch_place_release (&transfer->places[i]);
  free (transfer->places);
  checksummer_free (transfer->sum);
  free (transfer->validator);
  free (transfer->redirected);
  fetch_headers_release (&transfer->headers);
  strbuf_release (&transfer->memory);
  strbuf_release (&transfer->refusal);
  err_release (&transfer->err);
}

const char *fetch_header (const struct fetch_result *result, const char *name)
{
  return fetch_headers_find (result->headers, result->header_count, name);
}

void fetch_result_release (struct fetch_result *result)
{
  for (size_t i = 0; i < result->header_count; i++)
    free (result->headers[i]);
  free (result->headers);
  free (result->url);
  free (result->body);
  err_release (&result->err);
  *result = (struct fetch_result){0};
}
