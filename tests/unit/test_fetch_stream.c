/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/fetch.h: bytes in order, to a callback and by reading, over breaks. */
#include "fetching.h"

struct got {
  size_t len;
  size_t restarts;
  size_t fail_at; /* 0: never */
  const unsigned char *expected;
};

static int on_bytes (void *user, const void *bytes, size_t len, struct err *err)
{
  struct got *got = user;

  assert_in_range (len, 1, SIZE - got->len);
  assert_memory_equal (bytes, got->expected + got->len, len);
  got->len += len;
  if (got->fail_at && got->len >= got->fail_at)
    return err_code (err, ENOTTY, "had enough");
  return 0;
}

static int on_restart (void *user, struct err *err)
{
  struct got *got = user;

  (void) err;
  got->restarts++;
  got->len = 0;
  got->expected = data + SIZE;
  return 0;
}

static void to_callback (struct fetch_request *request, struct got *got)
{
  *got = (struct got){.expected = data};
  fetch_result_release (&request->result);
  *request = (struct fetch_request) FETCH_REQUEST_INIT;
  request->sink = FETCH_TO_CALLBACK;
  request->on_bytes = on_bytes;
  request->data = got;
  request->checksums = &sha256;
  request->checksum_count = 1;
  httpd_forget (&httpd);
}

/* By Range, or by skipping what has come, when a digest or the ETag says that it is the same. */
static void breaks_are_not_seen (void **state)
{
  static const struct {
    const char *tail;
    bool digest;
    uint64_t received;
  } cases[] = {{"data", true, SIZE},
               {"data?cut=100000", true, SIZE},
               {"data?cut=100000", false, SIZE},
               {"data?cut=100000,1&norange", true, SIZE + 100000},
               {"data?cut=100000,1&norange", false, SIZE + 100000},
               {"data?cut=100000,1&noetag&nodate&norange", true, SIZE + 100000}};
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct got got;

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autofree char *tail =
        xasprintf ("%s%ci=%zu", cases[i].tail, strchr (cases[i].tail, '?') ? '&' : '?', i);

    to_callback (&request, &got);
    request.checksum_count = cases[i].digest;
    run ((struct fetch_config){.retries = 1}, &request, tail, FETCH_DONE);
    assert_int_equal (got.len, SIZE);
    assert_int_equal (request.result.received, cases[i].received);
    fetch_result_release (&request.result);
  }
}

static void what_cannot_be_continued_fails (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct got got;

  (void) state;
  /* Nobody would know whether it is the same. */
  to_callback (&request, &got);
  request.checksum_count = 0;
  run ((struct fetch_config){0}, &request, "data?cut=100000,1&noetag&nodate", FETCH_NETWORK);
  assert_int_equal (httpd_logged (&httpd, "GET"), 2);
  /* It is not the same. */
  to_callback (&request, &got);
  request.checksum_count = 0;
  run ((struct fetch_config){0}, &request, "data?cut=100000,1&other=1", FETCH_NETWORK);
  /* It is not the same, and only the digest can tell. */
  to_callback (&request, &got);
  request.checksums = &(struct checksum){.kind = CHECKSUM_SHA512};
  run ((struct fetch_config){0}, &request, "data", FETCH_MISMATCH);
  assert_int_equal (httpd_logged (&httpd, "GET"), 1);
  /* Who can begin anew is told to. */
  to_callback (&request, &got);
  request.checksum_count = 0;
  request.on_restart = on_restart;
  run ((struct fetch_config){0}, &request, "data?cut=100000,1&other=1&i=1", FETCH_DONE);
  assert_int_equal (got.restarts, 1);
  assert_int_equal (got.len, SIZE);
  fetch_result_release (&request.result);
}

static void a_callback_may_stop_it (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct got got;

  (void) state;
  to_callback (&request, &got);
  got.fail_at = 50000;
  run ((struct fetch_config){0}, &request, "data?slow=10000", FETCH_LOCAL);
  assert_int_equal (request.result.err.code, ENOTTY);
  assert_int_equal (httpd_logged (&httpd, "GET"), 1);
  fetch_result_release (&request.result);
}

static int read_all (struct fetch_stream *stream, const unsigned char *expected, size_t size,
                     struct err *err)
{
  const void *bytes = NULL;
  size_t len = 0, done = 0;
  int ret;

  while ((ret = fetch_stream_read (stream, &bytes, &len, err)) > 0) {
    assert_in_range (len, 1, size - done);
    assert_memory_equal (bytes, expected + done, len);
    done += len;
  }
  if (ret == 0)
    assert_int_equal (done, size);
  return ret;
}

/* More than the buffer, so that it pauses, and broken now and then. */
static void a_stream_is_read (void **state)
{
  enum { BIG = 6 << 20 };
  autofree unsigned char *big = httpd_bytes (BIG, 7);
  struct checksum digest = digest_of (CHECKSUM_SHA512, big, BIG);
  autofetch struct fetch *fetch = open_session ((struct fetch_config){0});
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, "big?cut=1500000");
  const char *urls[] = {url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct fetch_stream *stream = NULL;
  autoerr struct err err = {0};

  (void) state;
  httpd_put (&httpd, "big", big, BIG);
  request.urls = urls;
  request.checksums = &digest;
  request.checksum_count = 1;
  request.want_sha256 = true;
  assert_int_equal (fetch_stream_open (fetch, &request, &stream, &err), 0);
  usleep (300000);
  assert_int_equal (read_all (stream, big, BIG, &err), 0);
  assert_int_equal (request.result.outcome, FETCH_DONE);
  assert_int_equal (request.result.received, BIG);
  struct checksum expected = digest_of (CHECKSUM_SHA256, big, BIG);
  assert_true (checksum_equal (&request.result.sha256, &expected));
  fetch_stream_close (stream);

  /* The end says what is wrong. */
  digest.bytes[0] ^= 1;
  assert_int_equal (fetch_stream_open (fetch, &request, &stream, &err), 0);
  assert_int_equal (read_all (stream, big, BIG, &err), -EBADMSG);
  fetch_stream_close (stream);
  err_release (&err);

  /* Closed in the middle, and at once. */
  const void *bytes = NULL;
  size_t len = 0;
  assert_int_equal (fetch_stream_open (fetch, &request, &stream, &err), 0);
  assert_int_equal (fetch_stream_read (stream, &bytes, &len, &err), 1);
  fetch_stream_close (stream);
  assert_int_equal (fetch_stream_open (fetch, &request, &stream, &err), 0);
  fetch_stream_close (stream);
  fetch_result_release (&request.result);
}

/* Each full buffer once cost a whole wait for something to happen: 200 ms in each MiB. */
static void a_pause_costs_no_wait (void **state)
{
  enum { BIG = 16 << 20, READ_US = 20000, LIMIT_US = 2000000 };
  autofree unsigned char *big = httpd_bytes (BIG, 8);
  autofetch struct fetch *fetch = open_session ((struct fetch_config){0});
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, "long");
  const char *urls[] = {url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct fetch_stream *stream = NULL;
  autoerr struct err err = {0};
  const void *bytes = NULL;
  size_t len = 0, done = 0;
  int ret;

  (void) state;
  httpd_put (&httpd, "long", big, BIG);
  request.urls = urls;
  uint64_t start = clock_us ();
  assert_int_equal (fetch_stream_open (fetch, &request, &stream, &err), 0);
  /* Slower than what comes, so that the buffer is full each time. */
  while ((ret = fetch_stream_read (stream, &bytes, &len, &err)) > 0) {
    done += len;
    usleep (READ_US);
  }
  assert_int_equal (ret, 0);
  assert_int_equal (done, BIG);
  assert_in_range (clock_us () - start, 0, LIMIT_US);
  fetch_stream_close (stream);
  fetch_result_release (&request.result);
}

static void streams_and_files_together (void **state)
{
  autofetch struct fetch *fetch = open_session ((struct fetch_config){0});
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, "data?slow=20000");
  const char *urls[] = {url, NULL};
  struct fetch_request first = FETCH_REQUEST_INIT, second = FETCH_REQUEST_INIT;
  struct fetch_request file = FETCH_REQUEST_INIT;
  struct fetch_stream *streams[2] = {NULL};
  autoerr struct err err = {0};

  (void) state;
  clear ("a");
  first.urls = second.urls = urls;
  to_file (&file, "a");
  file.urls = urls;
  assert_int_equal (fetch_stream_open (fetch, &first, &streams[0], &err), 0);
  assert_int_equal (fetch_stream_open (fetch, &second, &streams[1], &err), 0);
  assert_int_equal (fetch_run (fetch, &file, 1, &err), 0);
  assert_int_equal (file.result.outcome, FETCH_DONE);
  assert_int_equal (read_all (streams[1], data, SIZE, &err), 0);
  assert_int_equal (read_all (streams[0], data, SIZE, &err), 0);
  fetch_stream_close (streams[0]);
  fetch_stream_close (streams[1]);
  fetch_result_release (&first.result);
  fetch_result_release (&second.result);
  fetch_result_release (&file.result);
}

static void a_stream_that_is_refused (void **state)
{
  autofetch struct fetch *fetch = open_session ((struct fetch_config){0});
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, "missing");
  const char *urls[] = {url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct fetch_stream *stream = NULL;
  const void *bytes = NULL;
  autoerr struct err err = {0};
  size_t len = 0;

  (void) state;
  request.urls = urls;
  assert_int_equal (fetch_stream_open (fetch, &request, &stream, &err), 0);
  assert_int_equal (fetch_stream_read (stream, &bytes, &len, &err), -ENOENT);
  assert_int_equal (request.result.outcome, FETCH_REFUSED);
  fetch_stream_close (stream);
  fetch_result_release (&request.result);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (breaks_are_not_seen),
      cmocka_unit_test (what_cannot_be_continued_fails),
      cmocka_unit_test (a_callback_may_stop_it),
      cmocka_unit_test (a_stream_is_read),
      cmocka_unit_test (a_pause_costs_no_wait),
      cmocka_unit_test (streams_and_files_together),
      cmocka_unit_test (a_stream_that_is_refused),
  };

  return cmocka_run_group_tests (tests, setup_plain, teardown);
}
