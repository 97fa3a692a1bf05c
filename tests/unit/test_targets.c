/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "runtime/targets.h"
#include "util/fd.h"

static char directory[] = "/tmp/vguest-targets.XXXXXX";
static int root_fd = -1;

static int set_up (void **state)
{
  (void) state;
  snprintf (directory, sizeof directory, "/tmp/vguest-targets.XXXXXX");
  if (!mkdtemp (directory))
    return -1;
  root_fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return root_fd < 0 ? -1 : 0;
}

static int tear_down (void **state)
{
  autoclose int parent = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoerr struct err err = {0};

  (void) state;
  close (root_fd);
  return fd_remove_tree (parent, strrchr (directory, '/') + 1, &err);
}

static void write_file (const char *name, const char *text)
{
  autoclose int fd = openat (root_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, text, strlen (text)), 0);
}

static void set_time (const char *name, time_t seconds)
{
  struct timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 5}, {.tv_sec = seconds, .tv_nsec = 5}};

  assert_int_equal (utimensat (root_fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void assert_time (const char *name, time_t seconds)
{
  struct stat st;

  assert_int_equal (fstatat (root_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
  assert_int_equal (st.st_mtim.tv_sec, seconds);
  assert_int_equal (st.st_mtim.tv_nsec, 5);
}

static bool exists (const char *name)
{
  return faccessat (root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void prepare (struct targets *targets, const char *path, bool is_directory)
{
  autoerr struct err err = {0};

  if (targets_prepare (targets, root_fd, path, is_directory, &err) < 0)
    fail_msg ("%s", err_text (&err));
}

static void undo (struct targets *targets)
{
  autoerr struct err err = {0};

  if (targets_undo (targets, &err) < 0)
    fail_msg ("%s", err_text (&err));
}

static void what_is_missing_comes_and_goes (void **state)
{
  autotargets struct targets targets = {0};

  (void) state;
  assert_int_equal (mkdirat (root_fd, "etc", 0755), 0);
  set_time ("etc", 1000);
  set_time (".", 2000);
  prepare (&targets, "/etc/resolv.conf", false);
  prepare (&targets, "/etc/policy", false);
  prepare (&targets, "/proc", true);
  prepare (&targets, "/usr/sbin/deep", true);
  assert_int_equal (targets.count, 6);
  assert_true (exists ("etc/resolv.conf") && exists ("proc") && exists ("usr/sbin/deep"));
  undo (&targets);
  assert_false (exists ("etc/resolv.conf") || exists ("proc") || exists ("usr"));
  assert_time ("etc", 1000);
  assert_time (".", 2000);
}

static void what_is_there_stays (void **state)
{
  autotargets struct targets targets = {0};
  autoerr struct err err = {0};

  (void) state;
  write_file ("file", "text");
  assert_int_equal (mkdirat (root_fd, "dir", 0755), 0);
  set_time (".", 1000);
  prepare (&targets, "/file", false);
  prepare (&targets, "/dir/", true);
  prepare (&targets, "/", true);
  assert_int_equal (targets.count, 0);
  assert_int_equal (targets_prepare (&targets, root_fd, "/file", true, &err), -ENOTDIR);
  assert_int_equal (targets_prepare (&targets, root_fd, "/dir", false, &err), -EISDIR);
  undo (&targets);
  assert_true (exists ("file") && exists ("dir"));
  assert_time (".", 1000);
}

static void symlinks_stay_inside (void **state)
{
  autotargets struct targets targets = {0};
  autofree char *outside = xasprintf ("%s-outside", directory);

  (void) state;
  autofree char *up = xasprintf ("../../../../../../..%s", outside);
  assert_int_equal (symlinkat (outside, root_fd, "absolute"), 0);
  assert_int_equal (symlinkat (up, root_fd, "relative"), 0);
  assert_int_equal (symlinkat ("run/a/b", root_fd, "dangling"), 0);
  prepare (&targets, "/absolute", false);
  prepare (&targets, "/relative", false);
  prepare (&targets, "/dangling", false);
  assert_int_equal (access (outside, F_OK), -1);
  assert_true (exists ("run/a/b"));
  undo (&targets);
  assert_false (exists ("run") || exists ("tmp"));
  assert_true (exists ("absolute") && exists ("relative") && exists ("dangling"));
}

static void endless_symlinks_end (void **state)
{
  autotargets struct targets targets = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (symlinkat ("two", root_fd, "one"), 0);
  assert_int_equal (symlinkat ("one", root_fd, "two"), 0);
  assert_int_equal (targets_prepare (&targets, root_fd, "/one", false, &err), -ELOOP);
}

static void what_the_guest_puts_there_stays (void **state)
{
  autotargets struct targets targets = {0};
  struct stat st;

  (void) state;
  assert_int_equal (mkdirat (root_fd, "etc", 0755), 0);
  set_time ("etc", 1000);
  prepare (&targets, "/etc/a", false);
  prepare (&targets, "/etc/b", false);
  prepare (&targets, "/d", true);
  write_file ("etc/new", "text");
  assert_int_equal (renameat (root_fd, "etc/new", root_fd, "etc/a"), 0);
  set_time ("etc", 3000);
  write_file ("d/file", "text");
  undo (&targets);
  assert_int_equal (fstatat (root_fd, "etc/a", &st, 0), 0);
  assert_int_equal (st.st_size, 4);
  assert_false (exists ("etc/b"));
  assert_true (exists ("d/file"));
  assert_time ("etc", 3000);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (what_is_missing_comes_and_goes, set_up, tear_down),
      cmocka_unit_test_setup_teardown (what_is_there_stays, set_up, tear_down),
      cmocka_unit_test_setup_teardown (symlinks_stay_inside, set_up, tear_down),
      cmocka_unit_test_setup_teardown (endless_symlinks_end, set_up, tear_down),
      cmocka_unit_test_setup_teardown (what_the_guest_puts_there_stays, set_up, tear_down),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
