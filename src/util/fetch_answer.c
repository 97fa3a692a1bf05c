/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"
#include "clock.h"
#include <stdarg.h>
#include <sys/random.h>

/* "fetch URL: …" as transfer->err. */
static void fail (struct transfer *transfer, int code, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

static void fail (struct transfer *transfer, int code, const char *format, ...)
{
  autofree char *shown = fetch_url_for_people (fetch_transfer_url (transfer));
  autofree char *text = NULL;
  va_list ap;

  va_start (ap, format);
  if (vasprintf (&text, format, ap) < 0)
    err_out_of_memory ();
  va_end (ap);
  err_code (&transfer->err, code, "fetch %s: %s", shown, text);
}

static void retry_at_once (struct transfer *transfer)
{
  transfer->state = TRANSFER_WAITING;
  transfer->due_us = 0;
}

/* From three quarters to five quarters of pause_ms · 2^(round - 1), in microseconds. */
static uint64_t pause_us (const struct fetch_config *config, unsigned round)
{
  uint64_t pause = config->pause_ms;
  uint16_t random = 0;

  for (unsigned i = 1; i < round && pause < config->pause_max_ms; i++)
    pause *= 2;
  if (getrandom (&random, sizeof random, 0) != (ssize_t) sizeof random)
    random = UINT16_MAX / 2;
  pause = pause * 1000 * (3 * (uint64_t) UINT16_MAX + 2 * (uint64_t) random) / (4 * UINT16_MAX);
  return pause < config->pause_max_ms * UINT64_C (1000) ? pause
                                                        : config->pause_max_ms * UINT64_C (1000);
}

/* The next place that is not dead, behind @at or around; place_count when there is none. */
static size_t next_place (const struct transfer *transfer)
{
  for (size_t i = 1; i <= transfer->place_count; i++) {
    size_t next = (transfer->at + i) % transfer->place_count;

    if (!transfer->places[next].dead)
      return next;
  }
  return transfer->place_count;
}

/* The old host is left at once: two that wait for one another's would do so for ever. */
static void move_to (struct transfer *transfer, size_t place)
{
  if (transfer->host && transfer->host != transfer->places[place].host) {
    transfer->host->users--;
    transfer->host = NULL;
  }
  free (transfer->redirected);
  transfer->redirected = NULL;
  transfer->redirects = 0;
  transfer->at = place;
}

static void give_up (struct transfer *transfer, enum fetch_outcome outcome)
{
  if (transfer->place_count > 1) {
    autofree char *text = steal_ptr (&transfer->err.msg);

    err_code (&transfer->err, transfer->err.code, "%s (the last of %zu URLs)", text,
              transfer->place_count);
  }
  fetch_end_failed (transfer, outcome);
}

void fetch_place_failed (struct transfer *transfer, enum fetch_outcome outcome, bool again,
                         uint64_t retry_after_s)
{
  const struct fetch_config *config = &transfer->fetch->config;
  struct fetch_place *place = &transfer->places[transfer->at];
  uint64_t now = clock_us (), pause = 0;

  if (again && place->host->down)
    again = false;
  place->dead = !again;
  if (again && retry_after_s) {
    uint64_t most = config->pause_max_ms / 1000;

    place->not_before = now + (retry_after_s < most ? retry_after_s : most) * UINT64_C (1000000);
  }
  size_t next = next_place (transfer);
  if (next == transfer->place_count) {
    give_up (transfer, outcome);
    return;
  }
  if (next <= transfer->at) {
    transfer->round++;
    if (transfer->round > config->retries) {
      for (size_t i = 0; i < transfer->place_count; i++)
        if (!transfer->places[i].dead)
          transfer->places[i].host->down = transfer->places[i].host->failures > config->retries;
      give_up (transfer, outcome);
      return;
    }
    pause = pause_us (config, transfer->round);
  }
  move_to (transfer, next);
  transfer->state = TRANSFER_WAITING;
  transfer->due_us = now + pause;
  if (transfer->due_us < transfer->places[next].not_before)
    transfer->due_us = transfer->places[next].not_before;
}

/* A network error, or a server in trouble. */
static void try_later (struct transfer *transfer, uint64_t retry_after_s)
{
  transfer->places[transfer->at].host->failures++;
  if (transfer->stuck) {
    fetch_end_failed (transfer, FETCH_NETWORK);
    return;
  }
  fetch_place_failed (transfer, FETCH_NETWORK, /* again= */ true, retry_after_s);
}

/* What is there is not what was asked for: it goes, and all is fetched once more. */
static void on_mismatch (struct transfer *transfer)
{
  const struct fetch_request *request = transfer->request;
  bool delivered = request->sink == FETCH_TO_CALLBACK && transfer->offset && !request->on_restart;
  struct err mismatch = transfer->err;
  size_t next = next_place (transfer);

  transfer->err = (struct err){0};
  transfer->mismatches++;
  if (!delivered && fetch_sink_restart (transfer) < 0) {
    err_release (&mismatch);
    fetch_end_failed (transfer, transfer->fault);
    return;
  }
  err_release (&transfer->err);
  transfer->err = mismatch;
  /* The one place would send too much again. */
  bool useless = transfer->err.code == EFBIG && next == transfer->at;
  if (delivered || useless || transfer->mismatches > 1) {
    give_up (transfer, FETCH_MISMATCH);
    return;
  }
  free (transfer->validator);
  transfer->validator = NULL;
  move_to (transfer, next);
  transfer->no_cache = true;
  retry_at_once (transfer);
}

static void on_fault (struct transfer *transfer)
{
  switch (transfer->fault) {
  case FETCH_MISMATCH:
    on_mismatch (transfer);
    return;
  case FETCH_NETWORK:
    try_later (transfer, 0);
    return;
  default:
    fetch_end_failed (transfer, transfer->fault);
    return;
  }
}

static void on_redirect (struct transfer *transfer, const char *location)
{
  unsigned from = fetch_url_scheme (fetch_transfer_url (transfer));
  unsigned to = fetch_url_scheme (location);
  autofree char *target = fetch_url_strip (location);
  autofree char *shown = fetch_url_for_people (location);
  const char *why = NULL;

  if (!target)
    why = "that is no URL";
  else if (!(to & (FETCH_HTTP | FETCH_HTTPS) & transfer->fetch->config.schemes))
    why = "no redirect goes there";
  else if (from == FETCH_HTTPS && to == FETCH_HTTP)
    why = "that is not encrypted, and this was";
  else if (transfer->redirects >= FETCH_REDIRECTS_MAX)
    why = "there were too many redirects before";
  if (why) {
    fail (transfer, EPERM, "it redirects to %s: %s", shown, why);
    fetch_place_failed (transfer, FETCH_FORBIDDEN, /* again= */ false, 0);
    return;
  }
  transfer->redirects++;
  free (transfer->redirected);
  transfer->redirected = steal_ptr (&target);
  retry_at_once (transfer);
}

/* Status 416: there is nothing behind what is there. That may be because it is all. */
static void on_no_more (struct transfer *transfer)
{
  const struct fetch_result *result = &transfer->request->result;
  const char *value = fetch_header (result, "Content-Range");
  uint64_t from, to, total;

  if (value && fetch_content_range (value, &from, &to, &total) && from == UINT64_MAX &&
      total == transfer->offset) {
    fetch_finish (transfer);
    return;
  }
  transfer->no_range = true;
  retry_at_once (transfer);
}

static void on_status (struct transfer *transfer, long status, uint64_t retry_after_s)
{
  const struct fetch_request *request = transfer->request;
  static const struct {
    long status;
    int code;
    const char *text;
  } known[] = {
      {401, EACCES, " (it wants a user and password, or others)"},
      {403, EACCES, " (forbidden)"},
      {404, ENOENT, " (not found)"},
      {407, EACCES, " (the proxy wants a user and password)"},
      {408, ETIMEDOUT, " (time-out)"},
      {410, ENOENT, " (gone)"},
      {429, EBUSY, " (too many requests)"},
      {503, EBUSY, " (unavailable)"},
  };
  const char *text = status >= 500 ? " (trouble of the server)" : "";
  int code = EPROTO;

  if (status == 304 && (request->if_none_match || request->if_modified_since)) {
    fetch_end (transfer, FETCH_NOT_MODIFIED);
    return;
  }
  if (status == 416 && transfer->range_from) {
    on_no_more (transfer);
    return;
  }
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (known[i].status == status) {
      code = known[i].code;
      text = known[i].text;
    }
  fail (transfer, code, "HTTP status %ld%s", status, text);
  if (status == 408 || status == 429 || status >= 500)
    try_later (transfer, retry_after_s);
  else
    fetch_place_failed (transfer, FETCH_REFUSED, /* again= */ false, 0);
}

/* What libcurl's errors mean; those that are not here are troubles of the network. */
static const struct meaning {
  CURLcode curl_code;
  enum fetch_outcome outcome;
  int code;
} meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, FETCH_NETWORK, ENETUNREACH},
    {CURLE_COULDNT_RESOLVE_PROXY, FETCH_NETWORK, ENETUNREACH},
    {CURLE_COULDNT_CONNECT, FETCH_NETWORK, ENETUNREACH},
    {CURLE_OPERATION_TIMEDOUT, FETCH_NETWORK, ETIMEDOUT},
    {CURLE_PEER_FAILED_VERIFICATION, FETCH_FORBIDDEN, EPERM},
    {CURLE_SSL_ISSUER_ERROR, FETCH_FORBIDDEN, EPERM},
    {CURLE_SSL_INVALIDCERTSTATUS, FETCH_FORBIDDEN, EPERM},
    {CURLE_UNSUPPORTED_PROTOCOL, FETCH_FORBIDDEN, EPERM},
    {CURLE_URL_MALFORMAT, FETCH_FORBIDDEN, EPERM},
    {CURLE_SSL_CACERT_BADFILE, FETCH_LOCAL, EIO},
    {CURLE_SSL_CERTPROBLEM, FETCH_LOCAL, EIO},
    {CURLE_FILE_COULDNT_READ_FILE, FETCH_REFUSED, ENOENT},
    {CURLE_REMOTE_FILE_NOT_FOUND, FETCH_REFUSED, ENOENT},
    {CURLE_FTP_COULDNT_RETR_FILE, FETCH_REFUSED, ENOENT},
    {CURLE_LOGIN_DENIED, FETCH_REFUSED, EACCES},
    {CURLE_REMOTE_ACCESS_DENIED, FETCH_REFUSED, EACCES},
};

static void on_curl_error (struct transfer *transfer, CURLcode curl_code)
{
  struct meaning meaning = {curl_code, FETCH_NETWORK, EIO};
  bool no_range = curl_code == CURLE_RANGE_ERROR || curl_code == CURLE_BAD_DOWNLOAD_RESUME;

  if (curl_code == CURLE_OUT_OF_MEMORY)
    err_out_of_memory ();
  if (no_range && transfer->range_from) {
    transfer->no_range = true;
    retry_at_once (transfer);
    return;
  }
  for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
    if (meanings[i].curl_code == curl_code)
      meaning = meanings[i];
  for (char *p = transfer->message; *p; p++)
    if ((unsigned char) *p < ' ' || *p == 0x7f)
      *p = ' ';
  fail (transfer, meaning.code, "%s",
        transfer->message[0] ? transfer->message : libcurl.curl_easy_strerror (curl_code));
  if (meaning.outcome == FETCH_NETWORK)
    try_later (transfer, 0);
  else
    fetch_place_failed (transfer, meaning.outcome, /* again= */ false, 0);
}

static void on_complete (struct transfer *transfer)
{
  struct fetch_request *request = transfer->request;
  uint64_t whole = request->size != FETCH_SIZE_UNKNOWN ? request->size : transfer->total;

  transfer->places[transfer->at].host->failures = 0;
  if (request->sink == FETCH_HEAD) {
    request->result.size = transfer->total;
    fetch_end (transfer, FETCH_DONE);
    return;
  }
  if (transfer->skip || (whole != FETCH_SIZE_UNKNOWN && transfer->offset < whole)) {
    fail (transfer, EIO, "it ended too early");
    try_later (transfer, 0);
    return;
  }
  fetch_finish (transfer);
}

void fetch_finish (struct transfer *transfer)
{
  autofree char *shown = fetch_url_for_people (fetch_transfer_url (transfer));

  if (fetch_verify (transfer, &transfer->err) < 0) {
    err_wrap (&transfer->err, "fetch %s", shown);
    on_mismatch (transfer);
    return;
  }
  if (transfer->part_fd >= 0 && fetch_part_publish (transfer, &transfer->err) < 0) {
    err_wrap (&transfer->err, "fetch %s", shown);
    fetch_end_failed (transfer, FETCH_LOCAL);
    return;
  }
  fetch_end (transfer, FETCH_DONE);
}

/* Moves what the answer tells into the result. */
static void keep_answer (struct transfer *transfer, long status)
{
  struct fetch_result *result = &transfer->request->result;

  for (size_t i = 0; i < result->header_count; i++)
    free (result->headers[i]);
  free (result->headers);
  result->headers = transfer->headers.lines;
  result->header_count = transfer->headers.count;
  transfer->headers = (struct fetch_headers){0};
  free (result->url);
  result->url = fetch_url_for_people (fetch_transfer_url (transfer));
  result->status = status;
}

void fetch_answer (struct transfer *transfer, CURLcode code)
{
  bool http = fetch_url_scheme (fetch_transfer_url (transfer)) & (FETCH_HTTP | FETCH_HTTPS);
  curl_off_t retry_after = 0;
  char *location = NULL;
  long status = 0;

  curl_easy_getinfo (transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo (transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
  curl_easy_getinfo (transfer->easy, CURLINFO_REDIRECT_URL, &location);
  autofree char *redirect = location ? xstrdup (location) : NULL;
  if (code == CURLE_OK && transfer->body == FETCH_BODY_UNKNOWN)
    (void) fetch_body_begin (transfer);
  keep_answer (transfer, http ? status : 0);
  fetch_try_release (transfer);

  if (transfer->offset >= transfer->furthest + FETCH_FORWARD)
    transfer->round = 0;
  if (transfer->offset > transfer->furthest)
    transfer->furthest = transfer->offset;
  if (transfer->fault != FETCH_PENDING)
    on_fault (transfer);
  else if (code != CURLE_OK && !transfer->enough)
    on_curl_error (transfer, code);
  else if (transfer->body == FETCH_BODY_FILE)
    on_complete (transfer);
  else if (status >= 300 && status < 400 && redirect)
    on_redirect (transfer, redirect);
  else
    on_status (transfer, status, retry_after > 0 ? (uint64_t) retry_after : 0);
}
