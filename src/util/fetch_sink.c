/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"
#include <inttypes.h>

int fetch_fault (struct transfer *transfer, enum fetch_outcome fault)
{
  transfer->fault = fault;
  return -1;
}

static int fault (struct transfer *transfer, enum fetch_outcome outcome, int code, const char *text)
{
  autofree char *shown = fetch_url_for_people (fetch_transfer_url (transfer));

  err_code (&transfer->err, code, "fetch %s: %s", shown, text);
  return fetch_fault (transfer, outcome);
}

int fetch_sink_restart (struct transfer *transfer)
{
  const struct fetch_request *request = transfer->request;

  if (transfer->part_fd >= 0 && fetch_part_restart (transfer, &transfer->err) < 0)
    return fetch_fault (transfer, FETCH_LOCAL);
  if (request->sink == FETCH_TO_CALLBACK && transfer->offset) {
    transfer->stuck = !request->on_restart;
    if (transfer->stuck)
      return fault (transfer, FETCH_NETWORK, EIO,
                    "the server cannot continue where the transfer broke");
    if (request->on_restart (request->data, &transfer->err) < 0)
      return fetch_fault (transfer, FETCH_LOCAL);
  }
  strbuf_truncate (&transfer->memory, 0);
  checksummer_restart (transfer->sum);
  transfer->offset = 0;
  return 0;
}

/* The server sends everything though there is something already. */
static int rewind_sink (struct transfer *transfer)
{
  const struct fetch_request *request = transfer->request;

  if (request->sink == FETCH_TO_CALLBACK && !request->on_restart) {
    const char *now = fetch_validator (&transfer->headers);
    bool same = now && transfer->validator && strcmp (now, transfer->validator) == 0;

    if (transfer->expected || same) {
      transfer->skip = transfer->offset;
      return 0;
    }
  }
  return fetch_sink_restart (transfer);
}

/* @total: bytes of the file as the server has it. */
static int check_announced (struct transfer *transfer, uint64_t total)
{
  const struct fetch_request *request = transfer->request;
  autofree char *text = NULL;

  if (total == FETCH_SIZE_UNKNOWN)
    return 0;
  if (request->size != FETCH_SIZE_UNKNOWN && total != request->size) {
    text = xasprintf ("the server's file has %" PRIu64 " bytes, expected are %" PRIu64, total,
                      request->size);
    return fault (transfer, FETCH_MISMATCH, EBADMSG, text);
  }
  if (total > request->size_max) {
    text = xasprintf ("it has %" PRIu64 " bytes, and at most %" PRIu64 " are allowed", total,
                      request->size_max);
    return fault (transfer, FETCH_MISMATCH, EFBIG, text);
  }
  return 0;
}

/* Status 206: is it the part that was asked for? */
static int begin_partial (struct transfer *transfer, uint64_t *ret_total)
{
  const char *value =
      fetch_headers_find (transfer->headers.lines, transfer->headers.count, "Content-Range");
  uint64_t from = 0, to = 0;

  if (transfer->range_from && value && fetch_content_range (value, &from, &to, ret_total) &&
      from == transfer->range_from)
    return 0;
  transfer->no_range = true;
  return fault (transfer, FETCH_NETWORK, EPROTO,
                "the server sent another part than it was asked for");
}

int fetch_body_begin (struct transfer *transfer)
{
  bool http = fetch_url_scheme (fetch_transfer_url (transfer)) & (FETCH_HTTP | FETCH_HTTPS);
  uint64_t total = FETCH_SIZE_UNKNOWN;
  curl_off_t length = -1;
  long status = 0;

  curl_easy_getinfo (transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo (transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  if (http && (status < 200 || status > 299)) {
    transfer->body = FETCH_BODY_REFUSAL;
    return 0;
  }
  transfer->body = FETCH_BODY_FILE;
  if (http && status == 206) {
    if (begin_partial (transfer, &total) < 0)
      return -1;
  } else if (!http && transfer->range_from) {
    if (length >= 0)
      total = transfer->range_from + (uint64_t) length;
  } else {
    if (length >= 0)
      total = (uint64_t) length;
    if (transfer->offset && rewind_sink (transfer) < 0)
      return -1;
  }
  if (check_announced (transfer, total) < 0)
    return -1;
  transfer->total = total;
  const char *validator = fetch_validator (&transfer->headers);
  free (transfer->validator);
  transfer->validator = validator ? xstrdup (validator) : NULL;
  transfer->validator_at = transfer->at;
  fetch_part_note_validator (transfer);
  return 0;
}

static int refusal_add (struct transfer *transfer, const void *data, size_t len)
{
  enum { ENOUGH = 1 << 20 };
  size_t room = FETCH_REFUSAL_MAX - transfer->refusal.len;

  strbuf_add (&transfer->refusal, data, len < room ? len : room);
  transfer->refusal_received += len;
  if (transfer->refusal_received < ENOUGH)
    return 0;
  transfer->enough = true;
  return -1;
}

static int check_room (struct transfer *transfer, size_t len)
{
  const struct fetch_request *request = transfer->request;
  autofree char *text = NULL;

  if (request->size != FETCH_SIZE_UNKNOWN && len > request->size - transfer->offset) {
    text = xasprintf ("it has more than the %" PRIu64 " bytes that are expected", request->size);
    return fault (transfer, FETCH_MISMATCH, EBADMSG, text);
  }
  if (len > request->size_max - transfer->offset) {
    text = xasprintf ("it has more than %" PRIu64 " bytes, the most that is allowed",
                      request->size_max);
    return fault (transfer, FETCH_MISMATCH, EFBIG, text);
  }
  return 0;
}

static int deliver (struct transfer *transfer, const void *data, size_t len)
{
  const struct fetch_request *request = transfer->request;

  switch (request->sink) {
  case FETCH_TO_FILE:
    return fetch_part_write (transfer, data, len, &transfer->err);
  case FETCH_TO_MEMORY:
    strbuf_add (&transfer->memory, data, len);
    return 0;
  case FETCH_TO_CALLBACK:
    if (!transfer->stream)
      return request->on_bytes (request->data, data, len, &transfer->err);
    fetch_stream_add (transfer->stream, data, len);
    return 0;
  case FETCH_HEAD:
    break;
  }
  return 0;
}

int fetch_body_add (struct transfer *transfer, const void *data, size_t len)
{
  const char *bytes = data;

  if (transfer->body == FETCH_BODY_REFUSAL)
    return refusal_add (transfer, data, len);
  transfer->fetch->received += len;
  transfer->request->result.received += len;
  if (transfer->skip) {
    size_t skip = transfer->skip < len ? (size_t) transfer->skip : len;

    transfer->skip -= skip;
    bytes += skip;
    len -= skip;
  }
  if (!len)
    return 0;
  if (check_room (transfer, len) < 0)
    return -1;
  checksummer_add (transfer->sum, bytes, len);
  if (deliver (transfer, bytes, len) < 0)
    return fetch_fault (transfer, FETCH_LOCAL);
  transfer->offset += len;
  return 0;
}

int fetch_verify (struct transfer *transfer, struct err *err)
{
  const struct fetch_request *request = transfer->request;
  struct fetch_result *result = &transfer->request->result;
  char found[CHECKSUM_TEXT_SIZE], expected[CHECKSUM_TEXT_SIZE];
  struct checksum sum, sha256;

  checksummer_end (transfer->sum, &sum, &sha256);
  if (request->size != FETCH_SIZE_UNKNOWN && transfer->offset != request->size)
    return err_code (err, EBADMSG, "it has %" PRIu64 " bytes, expected are %" PRIu64,
                     transfer->offset, request->size);
  if (transfer->expected && !checksum_equal (&sum, transfer->expected)) {
    checksum_format (&sum, found);
    checksum_format (transfer->expected, expected);
    return err_code (err, EBADMSG, "it has the digest %s, expected is %s", found, expected);
  }
  result->checksum = sum;
  result->sha256 = sha256;
  result->weak = checksum_is_weak (sum.kind);
  result->size = transfer->offset;
  return 0;
}
