/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries as files: their marks, and the way to their contents. */
#include "test.h"
#include "lib/scratch.h"
#include "util/copy.h"
#include "util/fd.h"
#include "util/metaentry.h"
#include <sys/xattr.h>

#define PLACE "/ab/01234567890123"
#define METACOPY "trusted.overlay.metacopy"
#define REDIRECT "trusted.overlay.redirect"

static const char text[] = "contents of the other file\n";

struct scratch {
  char *path;
  int fd; /* is store/ as well */
};

static void make_file (int dir_fd, const char *name, const void *data, size_t len)
{
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0640);

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, data, len), 0);
}

/* A file of that size without data; the caller's. */
static int make_sparse (int dir_fd, const char *name, off_t size)
{
  int fd = fd_open (dir_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0604);

  assert_true (fd >= 0);
  assert_int_equal (ftruncate (fd, size), 0);
  return fd;
}

static struct stat stat_of (int fd)
{
  struct stat st;

  assert_int_equal (fstat (fd, &st), 0);
  return st;
}

/* data/ab/… has the contents, and "entry" is its entry. */
static int setup (void **state)
{
  struct scratch *scratch = xcalloc (1, sizeof *scratch);

  scratch->path = scratch_make (NULL);
  if (!scratch->path)
    return -1;
  scratch->fd = open (scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = scratch;
  if (mkdirat (scratch->fd, "data", 0700) < 0 || mkdirat (scratch->fd, "data/ab", 0700) < 0)
    return -1;
  make_file (scratch->fd, "data" PLACE, text, sizeof text);
  metaentry_use_store (scratch->fd);
  return 0;
}

static int teardown (void **state)
{
  struct scratch *scratch = *state;

  metaentry_forget_store (scratch->fd);
  close (scratch->fd);
  int ret = scratch_remove (scratch->path);
  free (scratch->path);
  free (scratch);
  return ret;
}

/* The entry, open; or the test is skipped: trusted attributes are root's. */
static int make_entry (struct scratch *scratch)
{
  int fd = make_sparse (scratch->fd, "entry", sizeof text);

  if (metaentry_mark (fd, PLACE) < 0) {
    assert_true (errno == EPERM || errno == EOPNOTSUPP);
    close (fd);
    skip ();
  }
  return fd;
}

static int read_one (int fd)
{
  struct stat st = stat_of (fd);

  return metaentry_read (fd, -1, NULL, &st, NULL);
}

static void test_marks (void **state)
{
  struct scratch *scratch = *state;
  autoclose int fd = make_entry (scratch);
  char place[METAENTRY_PLACE_SIZE] = "";
  struct stat st = stat_of (fd);
  autoxattrs struct xattrs xattrs = {0};
  autoerr struct err err = {0};

  assert_int_equal (metaentry_read (fd, -1, NULL, &st, place), 1);
  assert_string_equal (place, PLACE);
  assert_int_equal (metaentry_read (-1, scratch->fd, "entry", &st, NULL), 1);
  assert_int_equal (xattrs_read (fd, -1, NULL, true, &xattrs, &err), 0);
  assert_true (metaentry_is_marked (&xattrs));
  assert_int_equal (xattrs.count, 2);
  for (size_t i = 0; i < xattrs.count; i++)
    assert_true (metaentry_has_attribute (xattrs.items[i].name));
  assert_false (metaentry_has_attribute ("trusted.overlay.opaque"));
}

/* What the kernel writes to an upper layer is none. */
static void test_other_marks (void **state)
{
  autoclose int fd = make_entry (*state);
  static const char longer[8] = {0, 8, 0, 1};

  assert_int_equal (fsetxattr (fd, METACOPY, "", 0, 0), 0);
  assert_int_equal (read_one (fd), 0);
  assert_int_equal (fsetxattr (fd, METACOPY, longer, sizeof longer, 0), 0);
  assert_int_equal (read_one (fd), 0);
  assert_int_equal (fsetxattr (fd, METACOPY, "\1\4\0\0", 4, 0), 0);
  assert_int_equal (read_one (fd), 0);
  assert_int_equal (fremovexattr (fd, METACOPY), 0);
  assert_int_equal (read_one (fd), 0);
}

static void test_bad_places (void **state)
{
  static const char *const bad[] = {
      "",
      "/ab/0123456789012",
      "/ab/012345678901234",
      "/ab/01234567890123/",
      "ab/012345678901234",
      "/xy/01234567890123",
      "/ab/0123456789012x",
      "/../01234567890123",
      "/ab//1234567890123",
      "/usr/lib/file-name",
      "/ab/a long path that is none of our places at all",
  };
  autoclose int fd = make_entry (*state);

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autoxattrs struct xattrs xattrs = {0};
    autoerr struct err err = {0};

    assert_int_equal (fsetxattr (fd, REDIRECT, bad[i], strlen (bad[i]), 0), 0);
    assert_int_equal (read_one (fd), -1);
    assert_int_equal (errno, EUCLEAN);
    assert_int_equal (xattrs_read (fd, -1, NULL, true, &xattrs, &err), 0);
    assert_false (metaentry_is_marked (&xattrs));
  }
  assert_int_equal (fremovexattr (fd, REDIRECT), 0);
  assert_int_equal (read_one (fd), -1);
  assert_int_equal (errno, EUCLEAN);
}

static void test_contents (void **state)
{
  struct scratch *scratch = *state;
  autoclose int fd = make_entry (scratch);
  struct stat st = stat_of (fd);
  autoclose int data = -1;
  char buffer[sizeof text] = "";

  assert_int_equal (metaentry_contents (fd, &st, &data), 1);
  assert_int_equal (fd_read_full (data, buffer, sizeof buffer), sizeof text);
  assert_string_equal (buffer, text);
  assert_int_equal (metaentry_follow (&fd, &st), 0);
  assert_int_equal (stat_of (fd).st_ino, stat_of (data).st_ino);
}

/* They fail, and keep what they were given. */
static void assert_lost (int *fd)
{
  struct stat st = stat_of (*fd);
  int before = *fd, data = 7;

  assert_int_equal (metaentry_contents (*fd, &st, &data), -1);
  assert_int_equal (errno, EUCLEAN);
  assert_int_equal (data, -1);
  assert_int_equal (metaentry_follow (fd, &st), -1);
  assert_int_equal (*fd, before);
}

static void test_lost_contents (void **state)
{
  struct scratch *scratch = *state;
  autoclose int fd = make_entry (scratch);

  make_file (scratch->fd, "data" PLACE, text, sizeof text - 1);
  assert_lost (&fd);
  assert_int_equal (unlinkat (scratch->fd, "data" PLACE, 0), 0);
  assert_lost (&fd);
  assert_int_equal (mkdirat (scratch->fd, "data" PLACE, 0700), 0);
  assert_lost (&fd);
  assert_int_equal (unlinkat (scratch->fd, "data" PLACE, AT_REMOVEDIR), 0);
  assert_int_equal (unlinkat (scratch->fd, "data/ab", AT_REMOVEDIR), 0);
  assert_int_equal (unlinkat (scratch->fd, "data", AT_REMOVEDIR), 0);
  assert_lost (&fd);
  /* Also for who sees only now that there is no store/data. */
  metaentry_use_store (scratch->fd);
  assert_lost (&fd);
  metaentry_forget_store (scratch->fd);
  assert_lost (&fd);
}

/* Outside of store/data nothing is ever opened. */
static void test_symlink (void **state)
{
  struct scratch *scratch = *state;
  autoclose int fd = make_entry (scratch);
  struct stat st = stat_of (fd);
  int data = -1;

  make_file (scratch->fd, "other", text, sizeof text);
  assert_int_equal (unlinkat (scratch->fd, "data" PLACE, 0), 0);
  assert_int_equal (symlinkat ("../../other", scratch->fd, "data" PLACE), 0);
  assert_int_equal (metaentry_contents (fd, &st, &data), -1);
  assert_int_equal (data, -1);
}

static void test_may_be (void **state)
{
  struct scratch *scratch = *state;
  autoclose int sparse = make_sparse (scratch->fd, "sparse", 100000);
  autoclose int empty = make_sparse (scratch->fd, "empty", 0);
  make_file (scratch->fd, "full", text, sizeof text);
  autoclose int full = fd_open (scratch->fd, "full", O_RDONLY, 0);
  struct stat sparse_st = stat_of (sparse), empty_st = stat_of (empty), full_st = stat_of (full);
  struct stat dir_st = stat_of (scratch->fd);

  /* As if it were on the disk: some file systems put so little into the inode. */
  full_st.st_blocks = 8;
  assert_true (metaentry_may_be (&full_st));
  assert_true (metaentry_may_be (&sparse_st));
  assert_false (metaentry_may_be (&empty_st));
  assert_false (metaentry_may_be (&dir_st));
  assert_int_equal (renameat (scratch->fd, "data", scratch->fd, "away"), 0);
  assert_true (metaentry_may_be (&full_st));
  metaentry_use_store (scratch->fd);
  assert_false (metaentry_may_be (&full_st));
  assert_true (metaentry_may_be (&sparse_st));
  /* It is looked for once; what is made since has holes. */
  assert_int_equal (renameat (scratch->fd, "away", scratch->fd, "data"), 0);
  assert_false (metaentry_may_be (&full_st));
  assert_true (metaentry_may_be (&sparse_st));
}

static void test_readers (void **state)
{
  struct scratch *scratch = *state;
  autoclose int fd = make_entry (scratch);
  struct stat st = stat_of (fd);
  autofree char *data = NULL;
  autoerr struct err err = {0};
  size_t len = 0;

  assert_int_equal (fd_read_file (scratch->fd, "entry", 4096, &data, &len, &err), 0);
  assert_int_equal (len, sizeof text);
  assert_memory_equal (data, text, sizeof text);
  assert_int_equal (copy_inode (scratch->fd, "entry", &st, -1, NULL, scratch->fd, "copy", &err), 0);
  autoclose int copy = fd_open (scratch->fd, "copy", O_RDONLY, 0);
  char buffer[sizeof text] = "";
  assert_int_equal (fd_read_full (copy, buffer, sizeof buffer), sizeof text);
  assert_string_equal (buffer, text);
  assert_int_equal (read_one (copy), 0);
  assert_int_equal (stat_of (copy).st_mode, st.st_mode);
  assert_true (fgetxattr (copy, METACOPY, buffer, sizeof buffer) < 0);
  /* Contents that are lost are an error. */
  assert_int_equal (unlinkat (scratch->fd, "data" PLACE, 0), 0);
  free (data);
  data = NULL;
  assert_int_equal (fd_read_file (scratch->fd, "entry", 4096, &data, &len, &err), -EUCLEAN);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_marks, setup, teardown),
      cmocka_unit_test_setup_teardown (test_other_marks, setup, teardown),
      cmocka_unit_test_setup_teardown (test_bad_places, setup, teardown),
      cmocka_unit_test_setup_teardown (test_contents, setup, teardown),
      cmocka_unit_test_setup_teardown (test_lost_contents, setup, teardown),
      cmocka_unit_test_setup_teardown (test_symlink, setup, teardown),
      cmocka_unit_test_setup_teardown (test_may_be, setup, teardown),
      cmocka_unit_test_setup_teardown (test_readers, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
