/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/fetch.h: parts of files, of this run and of earlier ones, of others, and of changed files.
 */
#include "fetching.h"
#include <sys/file.h>
#include <sys/wait.h>

/* A part that is there is continued, if a digest will tell. */
static void a_part_is_continued (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  put_part ("a.part", data, 200000);
  to_file (&request, "a");
  request.checksums = &sha256;
  request.checksum_count = 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_int_equal (request.result.received, 100000);
  assert_int_equal (httpd_logged (&httpd, "Range=bytes=200000-"), 1);

  /* The part is damaged: the digest tells, and all is fetched. */
  clear ("a");
  put_part ("a.part", data + 1, 200000);
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_int_equal (request.result.received, 100000 + SIZE);

  /* Without a digest, of a part whose origin is not known nothing is kept. */
  clear ("a");
  put_part ("a.part", data + 1, 200000);
  request.checksum_count = 0;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_int_equal (request.result.received, SIZE);
  fetch_result_release (&request.result);
}

static void a_part_that_is_complete_is_renamed (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  put_part ("a.part", data, SIZE);
  to_file (&request, "a");
  request.size = SIZE;
  request.checksums = &sha256;
  request.checksum_count = 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_int_equal (httpd_logged (&httpd, "GET"), 0);

  /* The same without a known size: 416 says that there is no more. */
  clear ("a");
  put_part ("a.part", data, SIZE);
  request.size = FETCH_SIZE_UNKNOWN;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_int_equal (request.result.received, 0);
  assert_int_equal (httpd_logged (&httpd, "GET"), 1);

  /* Too long. */
  clear ("a");
  put_part ("a.part", data, SIZE);
  request.size = 1000;
  request.checksum_count = 0;
  run ((struct fetch_config){0}, &request, "small", FETCH_DONE);
  assert_file ("a", data, 1000);
  fetch_result_release (&request.result);
}

static void servers_without_ranges_begin_anew (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  to_file (&request, "a");
  request.checksums = &sha256;
  request.checksum_count = 1;
  for (int i = 0; i < 2; i++) {
    clear ("a");
    put_part ("a.part", data, 200000);
    run ((struct fetch_config){0}, &request, i ? "data?badrange" : "data?norange", FETCH_DONE);
    assert_file ("a", data, SIZE);
    assert_int_equal (request.result.received, SIZE);
  }
  fetch_result_release (&request.result);
}

/* Without a digest the ETag, or the date, decides, in this run and in later ones. */
static void a_validator_decides_without_a_digest (void **state)
{
  static const char *const tails[] = {"data?cut=100000,1", "data?cut=100000,1&weaketag",
                                      "data?cut=100000,1&noetag"};
  struct fetch_config no_retries = {.retries = FETCH_NO_RETRIES};
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  to_file (&request, "a");
  for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
    clear ("a");
    run (no_retries, &request, tails[i], FETCH_NETWORK);
    assert_true (exists ("a.part"));
    run (no_retries, &request, tails[i], FETCH_DONE);
    assert_file ("a", data, SIZE);
    assert_int_equal (request.result.received, 200000);
    assert_int_equal (httpd_logged (&httpd, i ? "If-Range=Mon, " : "If-Range=\""), 1);
  }
  /* Neither of them: */
  clear ("a");
  run (no_retries, &request, "data?cut=100000,1&noetag&nodate", FETCH_NETWORK);
  run (no_retries, &request, "data?cut=100000,1&noetag&nodate", FETCH_DONE);
  assert_file ("a", data, SIZE);
  assert_int_equal (request.result.received, SIZE);
  fetch_result_release (&request.result);
}

static void a_file_that_changes_is_not_mixed (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  to_file (&request, "a");
  run ((struct fetch_config){0}, &request, "data?cut=100000,1&other=1", FETCH_DONE);
  assert_file ("a", data + SIZE, SIZE);
  assert_int_equal (httpd_logged (&httpd, "GET"), 2);
  fetch_result_release (&request.result);
}

/* Another process has the part: its result is waited for, and taken. */
static void a_part_of_another_process_is_waited_for (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;
  autoerr struct err err = {0};

  (void) state;
  clear ("a");
  pid_t pid = fork ();
  if (pid == 0) {
    int fd = fd_open (httpd.dir_fd, "a.part", O_RDWR | O_CREAT, 0600);

    if (fd < 0 || flock (fd, LOCK_EX) < 0 || fd_write_all (fd, data, SIZE) < 0)
      _exit (1);
    usleep (500000);
    _exit (renameat (httpd.dir_fd, "a.part", httpd.dir_fd, "a") < 0);
  }
  usleep (200000);
  to_file (&request, "a");
  request.checksums = &sha256;
  request.checksum_count = 1;
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  int status = -1;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  assert_true (request.result.existed);
  assert_int_equal (httpd_logged (&httpd, "GET"), 0);
  assert_file ("a", data, SIZE);
  fetch_result_release (&request.result);
}

/* Nothing is written into what has another name as well, or follows a symlink. */
static void parts_that_are_not_ours (void **state)
{
  struct fetch_request request = FETCH_REQUEST_INIT;

  (void) state;
  clear ("a");
  put_part ("victim", "untouched", 9);
  assert_int_equal (linkat (httpd.dir_fd, "victim", httpd.dir_fd, "a.part", 0), 0);
  to_file (&request, "a");
  run ((struct fetch_config){0}, &request, "data", FETCH_DONE);
  assert_file ("victim", "untouched", 9);
  assert_file ("a", data, SIZE);
  clear ("a");
  assert_int_equal (symlinkat ("victim", httpd.dir_fd, "a.part"), 0);
  run ((struct fetch_config){0}, &request, "data", FETCH_LOCAL);
  assert_file ("victim", "untouched", 9);
  clear ("a");
  assert_int_equal (unlinkat (httpd.dir_fd, "victim", 0), 0);
  fetch_result_release (&request.result);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_part_is_continued),
      cmocka_unit_test (a_part_that_is_complete_is_renamed),
      cmocka_unit_test (servers_without_ranges_begin_anew),
      cmocka_unit_test (a_validator_decides_without_a_digest),
      cmocka_unit_test (a_file_that_changes_is_not_mixed),
      cmocka_unit_test (a_part_of_another_process_is_waited_for),
      cmocka_unit_test (parts_that_are_not_ours),
  };

  return cmocka_run_group_tests (tests, setup_plain, teardown);
}
