/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of util/fetch.h share: a server with files, and running one request. */
#ifndef VG_TESTS_UNIT_FETCHING_H
#define VG_TESTS_UNIT_FETCHING_H

#include "lib/httpd.h"
#include "test.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/fetch.h"
#include <signal.h>

#define MAY_BE_UNUSED __attribute__ ((unused))

/* The files: "data", SIZE bytes of data, and "data.other", those behind; "small", the first 1000;
 * "empty". */
enum { SIZE = 300000 };
static struct httpd httpd;
static unsigned char *data;
static struct checksum sha256;

MAY_BE_UNUSED static struct fetch *open_session (struct fetch_config config)
{
  struct fetch *fetch = NULL;
  autoerr struct err err = {0};

  if (!config.pause_ms)
    config.pause_ms = 1;
  config.proxy = "";
  assert_int_equal (fetch_open (&config, &fetch, &err), 0);
  return fetch;
}

MAY_BE_UNUSED static struct checksum digest_of (enum checksum_kind kind, const void *bytes,
                                                size_t len)
{
  autochecksummer struct checksummer *sum = NULL;
  struct checksum checksum;
  autoerr struct err err = {0};

  assert_int_equal (checksummer_new (kind, CHECKSUM_NONE, &sum, &err), 0);
  checksummer_add (sum, bytes, len);
  checksummer_end (sum, &checksum, NULL);
  return checksum;
}

/* Runs it alone, and expects an outcome. */
MAY_BE_UNUSED static void run (struct fetch_config config, struct fetch_request *request,
                               const char *tail, enum fetch_outcome outcome)
{
  autofetch struct fetch *fetch = open_session (config);
  autofree char *url = httpd_url (&httpd, HTTPD_HTTP, tail);
  const char *urls[] = {url, NULL};
  autoerr struct err err = {0};

  if (!request->urls)
    request->urls = urls;
  assert_int_equal (fetch_run (fetch, request, 1, &err), 0);
  if (request->result.outcome != outcome)
    print_message ("%s: outcome %d: %s\n", tail, request->result.outcome,
                   err_text (&request->result.err));
  assert_int_equal (request->result.outcome, outcome);
  request->urls = NULL;
}

MAY_BE_UNUSED static void to_file (struct fetch_request *request, const char *name)
{
  fetch_result_release (&request->result);
  *request = (struct fetch_request) FETCH_REQUEST_INIT;
  request->dir_fd = httpd.dir_fd;
  request->name = name;
}

MAY_BE_UNUSED static void assert_file (const char *name, const void *expected, size_t size)
{
  autofree char *found = NULL;
  autoerr struct err err = {0};
  size_t len = 0;

  assert_int_equal (fd_read_file (httpd.dir_fd, name, SIZE * 4, &found, &len, &err), 0);
  assert_int_equal (len, size);
  assert_memory_equal (found, expected, size);
}

MAY_BE_UNUSED static bool exists (const char *name)
{
  return faccessat (httpd.dir_fd, name, F_OK, 0) == 0;
}

MAY_BE_UNUSED static void put_part (const char *name, const void *bytes, size_t len)
{
  autoclose int fd = fd_open (httpd.dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, bytes, len), 0);
}

MAY_BE_UNUSED static void clear (const char *name)
{
  autofree char *part = xasprintf ("%s.part", name);

  unlinkat (httpd.dir_fd, name, 0);
  unlinkat (httpd.dir_fd, part, 0);
  httpd_forget (&httpd);
}

MAY_BE_UNUSED static int start_server (bool tls)
{
  signal (SIGPIPE, SIG_IGN);
  httpd_start (&httpd, tls);
  data = httpd_bytes (2 * SIZE, 1);
  sha256 = digest_of (CHECKSUM_SHA256, data, SIZE);
  httpd_put (&httpd, "data", data, SIZE);
  httpd_put (&httpd, "data.other", data + SIZE, SIZE);
  httpd_put (&httpd, "small", data, 1000);
  httpd_put (&httpd, "empty", "", 0);
  /* A Monday. */
  autofree char *path = xasprintf ("%s/files/data", httpd.path);
  struct timespec times[2] = {{.tv_sec = 1700469000}, {.tv_sec = 1700469000}};
  return utimensat (AT_FDCWD, path, times, 0);
}

MAY_BE_UNUSED static int setup_plain (void **state)
{
  (void) state;
  return start_server (/* tls= */ false);
}

MAY_BE_UNUSED static int teardown (void **state)
{
  (void) state;
  httpd_stop (&httpd);
  free (data);
  return 0;
}

#endif
