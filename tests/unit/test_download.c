/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pkg/download.h: the cache of packages. */
#include "fetching.h"
#include "pkg/download.h"
#include <sys/wait.h>
#include <sys/xattr.h>

enum { OTHER_SIZE = 1000 };
static struct vroot root;
static char *uri, *small_uri;
static char data_hex[CHECKSUM_TEXT_SIZE], small_hex[CHECKSUM_TEXT_SIZE],
    small_md5[CHECKSUM_TEXT_SIZE];
static bool have_attributes;

static struct pkgcache *open_cache (void)
{
  struct pkgcache *cache = NULL;
  autoerr struct err err = {0};

  assert_int_equal (pkgcache_open (&root, &cache, &err), 0);
  return cache;
}

static void fetch (struct pkgcache_file *files, size_t count, enum pkgcache_trust trust,
                   struct pkgcache_report *ret_report)
{
  autopkgcache struct pkgcache *cache = open_cache ();
  struct pkgcache_options options = {.trust = trust,
                                     .fetch = {.pause_ms = 1, .retries = 1, .proxy = ""}};
  autoerr struct err err = {0};

  assert_int_equal (pkgcache_fetch (cache, files, count, &options, ret_report, &err), 0);
}

static struct pkgcache_file want_data (void)
{
  return (struct pkgcache_file){
      .uri = uri, .name = "data.deb", .size = SIZE, .hash_kind = "SHA256", .hash = data_hex};
}

static struct pkgcache_file want_small (void)
{
  return (struct pkgcache_file){.uri = small_uri,
                                .name = "small.deb",
                                .size = OTHER_SIZE,
                                .hash_kind = "SHA256",
                                .hash = small_hex};
}

/* The path of a cached file below the root: the caller's. */
static char *cached (const char *hex)
{
  return xasprintf ("cache/packages/%.2s/sha256-%s", hex, hex);
}

static void clear_cache (void)
{
  autoerr struct err err = {0};

  assert_int_equal (fd_remove_tree (root.fd, "cache", &err), 0);
  httpd_forget (&httpd);
}

/* Until changes are seen by ctime. */
static void settle (void)
{
  usleep (2 * PKGCACHE_SETTLE_MS * 1000);
}

/* Writes @with over the first byte of a cached file, and gives it its mtime again. */
static void damage (const char *hex, char with)
{
  autofree char *path = cached (hex);
  autoclose int fd = openat (root.fd, path, O_RDWR | O_CLOEXEC);
  struct stat st;

  settle ();
  assert_true (fd >= 0);
  assert_int_equal (fstat (fd, &st), 0);
  assert_int_equal (pwrite (fd, &with, 1, 0), 1);
  assert_int_equal (futimens (fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
}

static void each_file_is_fetched_once (void **state)
{
  struct pkgcache_file files[] = {want_data (), want_small (), want_data (), want_data ()};
  autofree char *path = cached (data_hex), *dir = xasprintf ("cache/packages/%.2s", data_hex);
  struct pkgcache_report report;
  struct stat st;

  (void) state;
  clear_cache ();
  mode_t mask = umask (077);
  fetch (files, 4, PKGCACHE_STRONG, &report);
  umask (mask);
  assert_int_equal (report.fetched, 2);
  assert_int_equal (report.cached + report.failed, 0);
  assert_int_equal (report.received, SIZE + OTHER_SIZE);
  for (size_t i = 0; i < 4; i++)
    assert_int_equal (files[i].state, PKG_FILE_FETCHED);
  assert_int_equal (files[0].received + files[2].received + files[3].received, SIZE);
  assert_int_equal (httpd_logged (&httpd, "GET"), 2);
  assert_int_equal (fstatat (root.fd, path, &st, 0), 0);
  assert_int_equal (st.st_mode & 07777, 0644);
  assert_int_equal (fstatat (root.fd, dir, &st, 0), 0);
  assert_int_equal (st.st_mode & 07777, 0755);

  fetch (files, 4, PKGCACHE_STRONG, &report);
  assert_int_equal (report.cached, 2);
  assert_int_equal (report.fetched, 0);
  assert_int_equal (report.read_again, have_attributes ? 0 : 2);
  for (size_t i = 0; i < 4; i++)
    assert_int_equal (files[i].state, PKG_FILE_CACHED);
  assert_int_equal (httpd_logged (&httpd, "GET"), 2);
  pkgcache_files_release (files, 4);
}

static void failures_stay_with_their_files (void **state)
{
  struct pkgcache_file files[] = {want_data (),  want_small (), want_small (),
                                  want_small (), want_data (),  want_data ()};
  autofree char *missing = httpd_url (&httpd, HTTPD_HTTP, "missing");
  struct pkgcache_report report;
  char wrong[CHECKSUM_TEXT_SIZE], upper[CHECKSUM_TEXT_SIZE];

  (void) state;
  clear_cache ();
  memset (wrong, '0', 64);
  wrong[64] = '\0';
  files[1].uri = missing;
  files[1].hash = wrong;
  wrong[63] = '1';
  files[2].hash = "12";
  files[3].uri = "file:///etc/passwd";
  for (size_t i = 0; i < sizeof upper; i++)
    upper[i] = data_hex[i] >= 'a' ? (char) (data_hex[i] - 'a' + 'A') : data_hex[i];
  files[4].hash = upper;
  files[5].size = SIZE + 1;
  fetch (files, 6, PKGCACHE_STRONG, &report);
  assert_int_equal (report.failed, 4);
  assert_int_equal (files[0].state, PKG_FILE_FETCHED);
  assert_int_equal (files[4].state, PKG_FILE_FETCHED);
  assert_int_equal (files[1].state, PKG_FILE_FAILED);
  assert_int_equal (files[1].outcome, FETCH_REFUSED);
  assert_non_null (strstr (files[1].error, missing));
  assert_int_equal (files[2].outcome, FETCH_FORBIDDEN);
  assert_non_null (strstr (files[2].error, "small.deb: "));
  assert_int_equal (files[3].outcome, FETCH_FORBIDDEN);
  assert_int_equal (files[5].outcome, FETCH_MISMATCH);
  assert_non_null (strstr (files[5].error, "300000 bytes, expected are 300001"));
  pkgcache_files_release (files, 6);
}

/* What most of them name is asked first; one wrong size does not spoil it. */
static void the_others_uris_serve_as_mirrors (void **state)
{
  autofree char *missing = httpd_url (&httpd, HTTPD_HTTP, "missing");
  autofree char *wrong = httpd_url (&httpd, HTTPD_HTTP, "data.other");
  struct pkgcache_file files[] = {want_data (), want_data (), want_data ()};
  const char *const mirrors[] = {uri, NULL};
  struct pkgcache_report report;

  (void) state;
  clear_cache ();
  files[0].uri = missing;
  files[0].size = 5;
  fetch (files, 3, PKGCACHE_STRONG, &report);
  assert_int_equal (report.fetched, 1);
  assert_int_equal (httpd_logged (&httpd, "GET"), 1);
  assert_int_equal (files[0].outcome, FETCH_MISMATCH);
  clear_cache ();
  files[1].uri = files[2].uri = wrong;
  files[0].mirrors = mirrors;
  fetch (files, 3, PKGCACHE_STRONG, &report);
  assert_int_equal (httpd_logged (&httpd, "data.other"), 1);
  assert_int_equal (httpd_logged (&httpd, "missing"), 1);
  assert_int_equal (files[2].state, PKG_FILE_FETCHED);
  pkgcache_files_release (files, 3);
}

static void weak_digests (void **state)
{
  struct pkgcache_file files[] = {want_small (), want_small (), want_small ()};
  autofree char *path = cached (small_hex);
  struct pkgcache_report report;

  (void) state;
  clear_cache ();
  files[0].hash_kind = files[2].hash_kind = "MD5Sum";
  files[0].hash = files[2].hash = small_md5;
  files[1].hash_kind = "BLAKE2";
  fetch (files, 3, PKGCACHE_STRONG, &report);
  assert_int_equal (report.failed, 3);
  assert_non_null (strstr (files[0].error, "md5"));
  assert_non_null (strstr (files[1].error, "no digest"));
  assert_int_equal (httpd_logged (&httpd, "GET"), 0);
  fetch (files, 3, PKGCACHE_WEAK, &report);
  assert_int_equal (report.failed, 1);
  assert_int_equal (report.fetched, 1);
  assert_int_equal (files[2].digest.kind, CHECKSUM_SHA256);
  assert_int_equal (faccessat (root.fd, path, F_OK, 0), 0);
  fetch (files, 3, PKGCACHE_ANY, &report);
  assert_int_equal (report.failed, 0);
  assert_int_equal (report.fetched, 2);
  files[0].hash = files[2].hash = "00000000000000000000000000000000";
  fetch (files, 3, PKGCACHE_WEAK, &report);
  assert_int_equal (report.failed, 3);
  assert_int_equal (files[0].outcome, FETCH_MISMATCH);
  pkgcache_files_release (files, 3);
}

static void damage_is_found (void **state)
{
  struct pkgcache_file files[] = {want_data ()};
  autofree char *path = cached (data_hex);
  struct pkgcache_report report;

  (void) state;
  clear_cache ();
  fetch (files, 1, PKGCACHE_STRONG, &report);
  damage (data_hex, (char) ~data[0]);
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.damaged, 1);
  assert_int_equal (report.fetched, 1);
  autoclose int fd = openat (root.fd, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_true (fd >= 0);
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.damaged, 1);
  /* Written, but with what was there: it is read, and is good. */
  damage (data_hex, (char) data[0]);
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.read_again, 1);
  assert_int_equal (report.damaged + report.fetched, 0);
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.read_again, !have_attributes);
  pkgcache_files_release (files, 1);
}

/* After a week, whatever is written down. */
static void it_is_read_again_after_a_while (void **state)
{
  struct pkgcache_file files[] = {want_data ()};
  autofree char *path = cached (data_hex);
  struct pkgcache_report report;
  int64_t record[7];

  (void) state;
  if (!have_attributes)
    skip ();
  clear_cache ();
  fetch (files, 1, PKGCACHE_STRONG, &report);
  autoclose int fd = openat (root.fd, path, O_RDONLY | O_CLOEXEC);
  assert_int_equal (fgetxattr (fd, "trusted.vguest.verified", record, sizeof record),
                    sizeof record);
  record[5] -= PKGCACHE_RECHECK_S - 60;
  record[4] += 1000000000; /* the attribute itself is a change */
  assert_int_equal (fsetxattr (fd, "trusted.vguest.verified", record, sizeof record, 0), 0);
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.read_again, 0);
  record[5] -= 120;
  assert_int_equal (fsetxattr (fd, "trusted.vguest.verified", record, sizeof record, 0), 0);
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.read_again, 1);
  pkgcache_files_release (files, 1);
}

static void links (void **state)
{
  struct pkgcache_file files[] = {want_data (), want_small ()};
  autopkgcache struct pkgcache *cache = NULL;
  autofree char *path = cached (data_hex);
  struct pkgcache_report report;
  autoerr struct err err = {0};
  struct stat a, b;

  (void) state;
  clear ("a.deb");
  clear ("b.deb");
  clear_cache ();
  cache = open_cache ();
  assert_int_equal (pkgcache_link (cache, &files[0], httpd.dir_fd, "a.deb", &err), -EINVAL);
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (pkgcache_link (cache, &files[0], httpd.dir_fd, "a.deb", &err), 0);
  settle ();
  assert_int_equal (pkgcache_link (cache, &files[0], httpd.dir_fd, "a.deb", &err), -EEXIST);
  assert_int_equal (pkgcache_link (cache, &files[0], httpd.dir_fd, "b.deb", &err), 0);
  assert_int_equal (fstatat (root.fd, path, &a, 0), 0);
  assert_int_equal (fstatat (httpd.dir_fd, "b.deb", &b, 0), 0);
  assert_int_equal (a.st_ino, b.st_ino);
  assert_int_equal (a.st_nlink, 3);
  /* Links made are written down, links removed are not. */
  settle ();
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.read_again, !have_attributes);
  clear ("a.deb");
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (report.read_again, 1);

  autoclose int fd = -1;
  assert_int_equal (pkgcache_open_file (cache, &files[0], &fd, &err), 0);
  damage (data_hex, (char) ~data[0]);
  clear ("b.deb");
  assert_int_equal (pkgcache_link (cache, &files[0], httpd.dir_fd, "b.deb", &err), -ESTALE);
  assert_int_equal (pkgcache_link (cache, &files[0], httpd.dir_fd, "b.deb", &err), -ESTALE);
  assert_non_null (strstr (err.msg, "is gone"));
  assert_false (exists ("b.deb"));
  pkgcache_files_release (files, 2);
}

static void full_inodes_are_copied (void **state)
{
  struct pkgcache_file files[] = {want_small ()};
  autopkgcache struct pkgcache *cache = NULL;
  autofree char *path = cached (small_hex);
  struct pkgcache_report report;
  autoerr struct err err = {0};
  struct stat a, b;
  int links = 0;

  (void) state;
  clear_cache ();
  cache = open_cache ();
  fetch (files, 1, PKGCACHE_STRONG, &report);
  autoclose int dir = fd_make_dir (httpd.dir_fd, "links", 0755);
  for (; links < 65001; links++) {
    autofree char *name = xasprintf ("%d", links);

    if (linkat (root.fd, path, dir, name, 0) < 0)
      break;
  }
  if (links < 65001) {
    assert_int_equal (pkgcache_link (cache, &files[0], httpd.dir_fd, "copy", &err), 0);
    assert_int_equal (fstatat (root.fd, path, &a, 0), 0);
    assert_int_equal (fstatat (httpd.dir_fd, "copy", &b, 0), 0);
    assert_int_not_equal (a.st_ino, b.st_ino);
    assert_int_equal (b.st_mode & 07777, 0644);
    assert_file ("copy", data, OTHER_SIZE);
  }
  assert_int_equal (fd_remove_tree (httpd.dir_fd, "links", &err), 0);
  pkgcache_files_release (files, 1);
  if (links == 65001)
    skip (); /* no limit to be met here */
}

static void only_what_is_cached (void **state)
{
  struct pkgcache_file files[] = {want_data (), want_small ()};
  struct pkgcache_options options = {.cached_only = true};
  autopkgcache struct pkgcache *cache = NULL;
  struct pkgcache_report report;
  autoerr struct err err = {0};

  (void) state;
  clear_cache ();
  cache = open_cache ();
  fetch (files, 1, PKGCACHE_STRONG, &report);
  assert_int_equal (pkgcache_fetch (cache, files, 2, &options, &report, &err), 0);
  assert_int_equal (files[0].state, PKG_FILE_CACHED);
  assert_int_equal (files[1].state, PKG_FILE_FAILED);
  assert_int_equal (httpd_logged (&httpd, "GET"), 1);
  /* From nowhere. */
  files[0].uri = files[1].uri = NULL;
  fetch (files, 2, PKGCACHE_STRONG, &report);
  assert_int_equal (files[0].state, PKG_FILE_CACHED);
  assert_int_equal (files[1].state, PKG_FILE_FAILED);
  files[1].hash = NULL;
  fetch (files, 2, PKGCACHE_ANY, &report);
  assert_int_equal (files[1].state, PKG_FILE_FAILED);
  pkgcache_files_release (files, 2);
}

/* Several processes want the same files at once: each is fetched once. */
static void run_processes (bool weak)
{
  enum { COUNT = 6 };
  pid_t pids[COUNT];

  clear_cache ();
  for (int i = 0; i < COUNT; i++) {
    pids[i] = fork ();
    if (pids[i] == 0) {
      autofree char *slow = xasprintf ("%s?slow=50000", uri);
      struct pkgcache_file files[] = {want_data (), want_small ()};
      struct pkgcache_report report;

      files[0].uri = slow;
      if (weak)
        files[0].hash = NULL;
      fetch (files, 2, PKGCACHE_ANY, &report);
      pkgcache_files_release (files, 2);
      free (slow);
      slow = NULL;
      _exit (report.failed != 0 || report.cached + report.fetched != 2);
    }
  }
  for (int i = 0; i < COUNT; i++) {
    int status = -1;

    assert_int_equal (waitpid (pids[i], &status, 0), pids[i]);
    assert_int_equal (status, 0);
  }
}

static void processes_share_the_work (void **state)
{
  (void) state;
  run_processes (false);
  assert_int_equal (httpd_logged (&httpd, "GET"), 2);
  /* Who comes late fetches it again. */
  run_processes (true);
  assert_in_range (httpd_logged (&httpd, "GET"), 2, 7);
}

static void pruning (void **state)
{
  struct pkgcache_file files[] = {want_data (), want_small ()};
  autofree char *path = cached (data_hex), *small = cached (small_hex);
  autofree char *part = xasprintf ("%s.part", path);
  struct timespec old[] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
  struct pkgcache *cache = NULL;
  struct pkgcache_report report;
  struct pkgcache_pruned pruned;
  autoerr struct err err = {0};

  (void) state;
  clear_cache ();
  fetch (files, 2, PKGCACHE_STRONG, &report);
  autoclose int fd = openat (root.fd, part, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_true (fd >= 0);
  cache = open_cache ();
  assert_int_equal (pkgcache_prune (&root, 0, false, &pruned, &err), 0);
  pkgcache_close (cache);
  assert_int_equal (pkgcache_prune (&root, 30, false, &pruned, &err), 1);
  assert_int_equal (pruned.files, 0);
  assert_int_equal (futimens (fd, old), 0);
  /* What is written down is of no use for what has another mtime. */
  assert_int_equal (utimensat (root.fd, small, old, 0), 0);
  assert_int_equal (pkgcache_prune (&root, 30, true, &pruned, &err), 1);
  assert_int_equal (pruned.files, 2);
  assert_int_equal (faccessat (root.fd, part, F_OK, 0), 0);
  assert_int_equal (pkgcache_prune (&root, 30, false, &pruned, &err), 1);
  assert_int_equal (pruned.files, 2);
  assert_true (pruned.bytes >= OTHER_SIZE);
  assert_int_equal (faccessat (root.fd, part, F_OK, 0), -1);
  assert_int_equal (faccessat (root.fd, small, F_OK, 0), -1);
  assert_int_equal (faccessat (root.fd, path, F_OK, 0), 0);
  assert_int_equal (pkgcache_prune (&root, 0, false, &pruned, &err), 1);
  assert_int_equal (pruned.files, 1);
  pkgcache_files_release (files, 2);
}

static int setup (void **state)
{
  int ret = start_server (/* tls= */ false);
  struct checksum small = digest_of (CHECKSUM_SHA256, data, OTHER_SIZE);
  struct checksum md5 = digest_of (CHECKSUM_MD5, data, OTHER_SIZE);

  (void) state;
  checksum_hex (&sha256, data_hex);
  checksum_hex (&small, small_hex);
  checksum_hex (&md5, small_md5);
  uri = httpd_url (&httpd, HTTPD_HTTP, "data");
  small_uri = httpd_url (&httpd, HTTPD_HTTP, "small");
  root = (struct vroot){.path = httpd.path, .fd = open (httpd.path, O_RDONLY | O_CLOEXEC)};
  have_attributes = fsetxattr (root.fd, "trusted.vguest.test", "", 0, 0) == 0;
  return ret;
}

static int end (void **state)
{
  free (uri);
  free (small_uri);
  close (root.fd);
  return teardown (state);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (each_file_is_fetched_once),
      cmocka_unit_test (failures_stay_with_their_files),
      cmocka_unit_test (the_others_uris_serve_as_mirrors),
      cmocka_unit_test (weak_digests),
      cmocka_unit_test (damage_is_found),
      cmocka_unit_test (it_is_read_again_after_a_while),
      cmocka_unit_test (links),
      cmocka_unit_test (full_inodes_are_copied),
      cmocka_unit_test (only_what_is_cached),
      cmocka_unit_test (processes_share_the_work),
      cmocka_unit_test (pruning),
  };

  return cmocka_run_group_tests (tests, setup, end);
}
