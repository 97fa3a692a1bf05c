/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/fetch.h against a server on loopback: files, digests, limits, conditions, memory. */
#include "fetching.h"

static void a_file_is_fetched_and_verified (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct stat st;

  (void) state;
  clear ("a");
  to_file (&request, "a");
  request.size = SIZE;
  request.checksums = &sha256;
  request.checksum_count = 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_false (exists ("a.part"));
  assert_int_equal (fstatat (httpd.dir_fd, "a", &st, 0), 0);
  assert_int_equal (st.st_mode & 07777, 0644);
  assert_int_equal (request.result.size, SIZE);
  assert_int_equal (request.result.received, SIZE);
  assert_int_equal (request.result.status, 200);
  assert_false (request.result.weak);
  assert_true (checksum_equal (&request.result.checksum, &sha256));
  assert_string_equal (fetch_header (&request.result, "content-type"), "application/x-test");
  assert_non_null (fetch_header (&request.result, "ETAG"));
  assert_non_null (fetch_header (&request.result, "Docker-Content-Digest"));
  assert_null (fetch_header (&request.result, "Content"));
  fetch_result_release (&request.result);
}

static void what_verified_it_is_told (void **state)
{
  struct checksum list[] = {digest_of (CHECKSUM_MD5, data, SIZE), sha256};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  to_file (&request, "a");
  request.want_sha256 = true;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_true (request.result.weak);
  assert_int_equal (request.result.checksum.kind, CHECKSUM_NONE);
  assert_true (checksum_equal (&request.result.sha256, &sha256));
  request.checksums = list;
  request.checksum_count = 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_true (request.result.weak);
  request.checksum_count = 2;
  /* The strongest decides: */
  list[0].bytes[0] ^= 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_false (request.result.weak);
  fetch_result_release (&request.result);
}

static void a_wrong_digest_removes_it (void **state)
{
  struct checksum wrong = sha256;
  char expected[CHECKSUM_TEXT_SIZE], found[CHECKSUM_TEXT_SIZE];
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  wrong.bytes[31] ^= 1;
  to_file (&request, "a");
  request.checksums = &wrong;
  request.checksum_count = 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_MISMATCH);
  assert_false (exists ("a") || exists ("a.part"));
  assert_int_equal (request.result.err.code, EBADMSG);
  checksum_format (&wrong, expected);
  checksum_format (&sha256, found);
  assert_non_null (strstr (request.result.err.msg, expected));
  assert_non_null (strstr (request.result.err.msg, found));
  /* Once more, with a word to caches, and not again. */
  assert_int_equal (httpd_logged (&httpd, "GET /data"), 2);
  assert_int_equal (httpd_logged (&httpd, "Cache-Control=no-cache"), 1);
  fetch_result_release (&request.result);
}

static void a_wrong_size_is_seen_before_the_bytes (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  to_file (&request, "a");
  request.size = SIZE + 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_MISMATCH);
  assert_int_equal (request.result.received, 0);
  assert_non_null (strstr (request.result.err.msg, "300000 bytes, expected are 300001"));
  request.size = SIZE - 1;
  run ((struct fetch_config){0}, &request, "data?nolength", FETCH_MISMATCH);
  assert_non_null (strstr (request.result.err.msg, "more than the 299999 bytes"));
  assert_false (exists ("a") || exists ("a.part"));
  fetch_result_release (&request.result);
}

static void too_much_is_refused (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  to_file (&request, "a");
  request.size_max = 1000000;
  run ((struct fetch_config){0}, &request, "data?endless", FETCH_MISMATCH);
  assert_int_equal (request.result.err.code, EFBIG);
  assert_in_range (request.result.received, 0, 1000000 + (256 << 10));
  assert_int_equal (httpd_logged (&httpd, "GET"), 1);
  request.size_max = SIZE - 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_MISMATCH);
  assert_int_equal (request.result.received, 0);
  request.size_max = SIZE;
  run ((struct fetch_config){0}, &request, "data?chunked", FETCH_DONE);
  assert_file ("a", data, SIZE);
  fetch_result_release (&request.result);
}

static void what_is_there_may_be_kept (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  to_file (&request, "a");
  request.checksums = &sha256;
  request.checksum_count = 1;
  request.keep = true;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_false (request.result.existed);
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_true (request.result.existed);
  assert_int_equal (request.result.size, SIZE);
  assert_int_equal (httpd_logged (&httpd, "GET"), 1);
  assert_false (exists ("a.part"));
  put_part ("a", data + 1, SIZE);
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_false (request.result.existed);
  assert_file ("a", data, SIZE);
  fetch_result_release (&request.result);
}

static void memory_and_head (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  request.sink = FETCH_TO_MEMORY;
  request.size_max = SIZE;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_int_equal (request.result.body_len, SIZE);
  assert_memory_equal (request.result.body, data, SIZE);
  run ((struct fetch_config){0}, &request, "data?cut=100000,1", FETCH_DONE);
  assert_memory_equal (request.result.body, data, SIZE);
  assert_int_equal (request.result.received, SIZE);
  request.size_max = SIZE - 1;
  run ((struct fetch_config){0}, &request, "data?nolength", FETCH_MISMATCH);
  run ((struct fetch_config){0}, &request, "empty", FETCH_DONE);
  assert_int_equal (request.result.body_len, 0);
  assert_string_equal (request.result.body, "");
  request.sink = FETCH_HEAD;
  run ((struct fetch_config){0}, &request, "small", FETCH_DONE);
  assert_int_equal (request.result.size, 1000);
  assert_int_equal (request.result.received, 0);
  assert_non_null (fetch_header (&request.result, "Last-Modified"));
  fetch_result_release (&request.result);
}

static void not_modified (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  to_file (&request, "a");
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  autofree char *etag = xstrdup (fetch_header (&request.result, "ETag"));
  autofree char *date = xstrdup (fetch_header (&request.result, "Last-Modified"));
  clear ("a");
  request.if_none_match = etag;
  run ((struct fetch_config){0}, &request, "data", FETCH_NOT_MODIFIED);
  assert_false (exists ("a") || exists ("a.part"));
  assert_int_equal (request.result.status, 304);
  request.if_none_match = NULL;
  request.if_modified_since = date;
  run ((struct fetch_config){0}, &request, "data", FETCH_NOT_MODIFIED);
  request.if_modified_since = "Thu, 01 Jan 1970 00:00:01 GMT";
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  fetch_result_release (&request.result);
}

static void requests_that_make_no_sense (void **state)
{
  static const char *const headers[] = {"X-Test: a\r\nX-Evil: b", NULL};
  static const char *const none[] = {NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  to_file (&request, "a/b");
  run ((struct fetch_config){0}, &request, "data", FETCH_FORBIDDEN);
  fetch_result_release (&request.result);
  to_file (&request, "a");
  request.headers = headers;
  run ((struct fetch_config){0}, &request, "data", FETCH_FORBIDDEN);
  request.headers = NULL;
  request.urls = none;
  run ((struct fetch_config){0}, &request, "data", FETCH_FORBIDDEN);
  request.sink = FETCH_TO_MEMORY;
  run ((struct fetch_config){0}, &request, "data", FETCH_FORBIDDEN);
  fetch_result_release (&request.result);
}

static void schemes (void **state)
{
  autofree char *path = xasprintf ("file://%s/files/small", httpd.path);
  const char *file[] = {path, NULL}, *gopher[] = {"gopher://127.0.0.1/x", NULL};
  const char *bad[] = {"http://user:secret@127.0.0.1:port/x", NULL};
  const char *bad_first[] = {"nothing", path, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  to_file (&request, "a");
  request.urls = file;
  run ((struct fetch_config){0}, &request, "file", FETCH_FORBIDDEN);
  request.urls = file;
  run ((struct fetch_config){.schemes = FETCH_FILE}, &request, "file", FETCH_DONE);
  assert_file ("a", data, 1000);
  request.urls = bad_first;
  run ((struct fetch_config){.schemes = FETCH_FILE}, &request, "bad first", FETCH_DONE);
  request.urls = gopher;
  run ((struct fetch_config){0}, &request, "gopher", FETCH_FORBIDDEN);
  request.urls = bad;
  run ((struct fetch_config){0}, &request, "bad", FETCH_FORBIDDEN);
  assert_null (strstr (request.result.err.msg, "secret"));
  fetch_result_release (&request.result);
}

/* Twenty files, with limits, and one that fails. */
static void many_at_once (void **state)
{
  enum { COUNT = 20 };
  struct fetch_request requests[COUNT] = {{0}};
  char *urls[COUNT][2] = {{0}}, *names[COUNT];
  autofetch struct fetch *fetch =
      open_session ((struct fetch_config){.parallel = 5, .parallel_host = 3});
  autoerr struct err err = {0};

  (void) state;
  httpd_forget (&httpd);
  for (int i = 0; i < COUNT; i++) {
    autofree char *tail = xasprintf (i == 7 ? "missing" : "data?slow=100000&i=%d", i);

    names[i] = xasprintf ("many%d", i);
    urls[i][0] = httpd_url (&httpd, i % 2 ? HTTPD_HTTP : HTTPD_OTHER, tail);
    to_file (&requests[i], names[i]);
    requests[i].urls = (const char *const *) urls[i];
  }
  assert_int_equal (fetch_run (fetch, requests, COUNT, &err), 0);
  /* All of one host's places were used, and no more. */
  assert_true (httpd_logged (&httpd, "busy=3") > 0);
  assert_int_equal (httpd_logged (&httpd, "busy=4") + httpd_logged (&httpd, "busy=5"), 0);
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal (requests[i].result.outcome, i == 7 ? FETCH_REFUSED : FETCH_DONE);
    if (i != 7)
      assert_file (names[i], data, SIZE);
    clear (names[i]);
    fetch_result_release (&requests[i].result);
    free (names[i]);
    free (urls[i][0]);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_file_is_fetched_and_verified),
      cmocka_unit_test (what_verified_it_is_told),
      cmocka_unit_test (a_wrong_digest_removes_it),
      cmocka_unit_test (a_wrong_size_is_seen_before_the_bytes),
      cmocka_unit_test (too_much_is_refused),
      cmocka_unit_test (what_is_there_may_be_kept),
      cmocka_unit_test (memory_and_head),
      cmocka_unit_test (not_modified),
      cmocka_unit_test (requests_that_make_no_sense),
      cmocka_unit_test (schemes),
      cmocka_unit_test (many_at_once),
  };

  return cmocka_run_group_tests (tests, setup_plain, teardown);
}
