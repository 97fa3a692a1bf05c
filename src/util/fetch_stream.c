/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_internal.h"

struct fetch_stream {
  struct fetch *fetch;
  struct transfer transfer;
  struct strbuf filling; /* what has come */
  struct strbuf reading; /* what the caller has */
};

bool fetch_stream_full (const struct fetch_stream *stream)
{
  return stream->filling.len >= FETCH_STREAM_BUFFER;
}

void fetch_stream_add (struct fetch_stream *stream, const void *data, size_t len)
{
  strbuf_add (&stream->filling, data, len);
}

int fetch_stream_open (struct fetch *fetch, struct fetch_request *request,
                       struct fetch_stream **ret_stream, struct err *err)
{
  struct fetch_stream *stream = xcalloc (1, sizeof *stream);

  request->sink = FETCH_TO_CALLBACK;
  request->on_restart = NULL;
  stream->fetch = fetch;
  /* One delivery of libcurl more than what counts as full. */
  stream->filling.maximum = stream->reading.maximum = 2 * (size_t) FETCH_STREAM_BUFFER;
  fetch_transfer_init (&stream->transfer, fetch, request);
  stream->transfer.stream = stream;
  if (fetch_step (fetch, 0, err) < 0) {
    fetch_stream_close (stream);
    return -err->code;
  }
  *ret_stream = stream;
  return 0;
}

/* Waits until there is something, or the end. */
static int fill (struct fetch_stream *stream, struct err *err)
{
  struct transfer *transfer = &stream->transfer;

  while (!stream->filling.len && transfer->state != TRANSFER_ENDED) {
    if (transfer->paused) {
      transfer->paused = false;
      libcurl.curl_easy_pause (transfer->easy, CURLPAUSE_CONT);
    }
    if (!stream->filling.len && fetch_step (stream->fetch, FETCH_POLL_MS, err) < 0)
      return -err->code;
  }
  return 0;
}

int fetch_stream_read (struct fetch_stream *stream, const void **ret_data, size_t *ret_len,
                       struct err *err)
{
  struct fetch_result *result = &stream->transfer.request->result;

  if (fill (stream, err) < 0)
    return -err->code;
  if (!stream->filling.len) {
    if (result->outcome == FETCH_DONE)
      return 0;
    return err_code (err, result->err.code, "%s", err_text (&result->err));
  }
  struct strbuf taken = stream->reading;
  stream->reading = stream->filling;
  stream->filling = taken;
  strbuf_truncate (&stream->filling, 0);
  *ret_data = stream->reading.data;
  *ret_len = stream->reading.len;
  return 1;
}

uint64_t fetch_stream_total (const struct fetch_stream *stream)
{
  return stream->transfer.total;
}

void fetch_stream_close (struct fetch_stream *stream)
{
  if (!stream)
    return;
  fetch_transfer_release (&stream->transfer);
  strbuf_release (&stream->filling);
  strbuf_release (&stream->reading);
  free (stream);
}
