/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sharing blocks with the layer of a running guest, on images of XFS and btrfs. */
#include "test.h"
#include "unify/running.h"
#include "util/fd.h"
#include "util/reflink.h"
#include "util/subprocess.h"
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

enum { IMAGE_SIZE = 400 << 20, FILE_SIZE = 300000 };

static const struct timespec always = {0};

struct place {
  char *path; /* the mounted file system, or a directory of the one we are on */
  int fd;
  int temp_fd;
  struct store *store;
  struct policy policy;
};

static bool run (const char *const *argv)
{
  struct subprocess sub = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
  autoerr struct err err = {0};
  int status = -1;

  return subprocess_run (&sub, &status, &err) == 0 && status == 0;
}

/* Mounts a new file system of type @type on @path: the mount goes with our mount namespace. */
static bool mount_image (const char *path, const char *type)
{
  autofree char *image = xasprintf ("%s.image", path);
  autofree char *mkfs = xasprintf ("mkfs.%s", type);
  const char *const make[] = {mkfs, "-q", image, NULL};
  const char *const mount_it[] = {"mount", "-o", "loop", image, path, NULL};
  autoclose int fd = open (image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  assert_true (fd >= 0 && ftruncate (fd, IMAGE_SIZE) == 0);
  bool mounted = run (make) && run (mount_it);
  /* The loop device keeps the file. */
  assert_int_equal (unlink (image), 0);
  return mounted;
}

static void start (struct place *place, const char *type)
{
  const char *tmp = getenv ("TMPDIR") ? getenv ("TMPDIR") : "/tmp";
  autoerr struct err err = {0};

  autofree char *mkfs = xasprintf ("mkfs.%s", type ? type : "");
  if (type && (geteuid () != 0 || !subprocess_exists (mkfs))) {
    print_message ("SKIP: needs root and mkfs.%s\n", type);
    skip ();
  }
  *place = (struct place){.path = xasprintf ("%s/vguest-test.XXXXXX", tmp)};
  assert_non_null (mkdtemp (place->path));
  if (type && !mount_image (place->path, type)) {
    print_message ("SKIP: cannot mount an image with %s\n", type);
    skip ();
  }
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  place->temp_fd = fd_make_dir (place->fd, "temp", 0700);
  assert_true (place->fd >= 0 && place->temp_fd >= 0);
  assert_int_equal (store_open (place->fd, &place->store, &err), 0);
  assert_int_equal (policy_parse ("eager /usr\nprivate /var\n", "policy", &place->policy, &err), 0);
}

static void end (struct place *place, bool mounted)
{
  autoerr struct err err = {0};

  store_close (place->store);
  policy_release (&place->policy);
  close (place->temp_fd);
  if (!mounted) {
    static const char *const parts[] = {"temp", "store", "one", "two", NULL};

    for (const char *const *part = parts; *part; part++)
      assert_int_equal (fd_remove_tree (place->fd, *part, &err), 0);
  }
  close (place->fd);
  if (mounted)
    assert_int_equal (umount2 (place->path, MNT_DETACH), 0);
  assert_int_equal (rmdir (place->path), 0);
  free (place->path);
}

static void write_file (int dir_fd, const char *name, char fill)
{
  struct timespec times[2] = {{1700000000, 1}, {1700000000, 1}};
  autofree char *data = xmalloc (FILE_SIZE);
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT, 0644);

  memset (data, fill, FILE_SIZE);
  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, data, FILE_SIZE), 0);
  assert_int_equal (futimens (fd, times), 0);
}

/* An upper layer with a file of each kind. */
static int make_upper (const struct place *place, const char *name)
{
  autoclose int upper = fd_make_dir (place->fd, name, 0755);
  autoclose int usr = fd_make_dir (upper, "usr", 0755);
  autoclose int var = fd_make_dir (upper, "var", 0755);

  assert_true (upper >= 0 && usr >= 0 && var >= 0);
  write_file (usr, "library", 'l');
  write_file (var, "database", 'd');
  write_file (upper, "unique", name[0]);
  assert_int_equal (mknodat (usr, "whiteout", S_IFCHR | 0600, makedev (0, 0)), 0);
  assert_int_equal (mkfifoat (usr, "fifo", 0600), 0);
  return steal_fd (&upper);
}

/* Where the first block of the file lies on the device. */
static uint64_t physical (int dir_fd, const char *path)
{
  autofree struct fiemap *map = xcalloc (1, sizeof *map + sizeof (struct fiemap_extent));
  autoclose int fd = openat (dir_fd, path, O_RDONLY | O_CLOEXEC);

  map->fm_length = FIEMAP_MAX_OFFSET;
  map->fm_flags = FIEMAP_FLAG_SYNC;
  map->fm_extent_count = 1;
  assert_true (fd >= 0);
  assert_int_equal (ioctl (fd, FS_IOC_FIEMAP, map), 0);
  assert_true (map->fm_mapped_extents > 0);
  return map->fm_extents[0].fe_physical;
}

static void share (struct place *place, int upper, bool reflink, const struct timespec *since,
                   struct unify_report *report)
{
  autoerr struct err err = {0};

  *report = (struct unify_report){0};
  assert_int_equal (unify_running (place->store, &place->policy, upper, place->temp_fd, reflink,
                                   since, report, &err),
                    0);
  assert_int_equal (report->failed, 0);
}

static void share_two (const char *type)
{
  struct unify_report report;
  struct place place;

  start (&place, type);
  autoclose int one = make_upper (&place, "one");
  autoclose int two = make_upper (&place, "two");
  autoerr struct err err = {0};
  struct stat before, after;

  assert_int_equal (reflink_probe (place.fd, &err), 1);
  assert_int_equal (fstatat (two, "usr/library", &before, 0), 0);
  assert_true (physical (one, "usr/library") != physical (two, "usr/library"));
  share (&place, one, true, &always, &report);
  assert_int_equal (report.published, 1);
  assert_int_equal (report.reflinked, 0);
  share (&place, two, true, &always, &report);
  assert_int_equal (report.published, 0);
  assert_int_equal (report.reflinked, 1);
  assert_int_equal (report.reflinked_bytes, FILE_SIZE);
  assert_true (physical (one, "usr/library") == physical (two, "usr/library"));
  assert_true (physical (one, "var/database") != physical (two, "var/database"));
  /* The guest sees nothing of it. */
  assert_int_equal (fstatat (two, "usr/library", &after, 0), 0);
  assert_int_equal (before.st_ino, after.st_ino);
  assert_int_equal (before.st_ctim.tv_sec, after.st_ctim.tv_sec);
  assert_int_equal (before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
  assert_int_equal (identity_same (one, "usr/library", two, "usr/library", 0, &err), 1);
  end (&place, true);
}

static void test_xfs (void **state)
{
  (void) state;
  share_two ("xfs");
}

static void test_btrfs (void **state)
{
  (void) state;
  share_two ("btrfs");
}

/* Files without reflinks are counted; what is older than the run is not. */
static void test_count (void **state)
{
  struct unify_report report;
  struct place place;
  struct timespec future = {.tv_sec = INT32_MAX};

  (void) state;
  start (&place, NULL);
  autoclose int one = make_upper (&place, "one");
  autoclose int two = make_upper (&place, "two");
  share (&place, one, false, &always, &report);
  assert_int_equal (report.waiting, 1);
  assert_true (report.waiting_bytes >= FILE_SIZE);
  assert_int_equal (report.published, 0);
  assert_int_equal (report.bytes, 0);
  share (&place, two, false, &future, &report);
  assert_int_equal (report.waiting, 0);
  end (&place, false);
}

/* A file of the guest's that is not what it was when it was hashed stays as it is. */
static void test_same_size_other_contents (void **state)
{
  struct unify_report report;
  struct place place;

  (void) state;
  start (&place, "xfs");
  autoclose int one = make_upper (&place, "one");
  autoclose int two = make_upper (&place, "two");
  autoclose int usr = fd_open_dir (two, "usr");
  write_file (usr, "library", 'x');
  share (&place, one, true, &always, &report);
  share (&place, two, true, &always, &report);
  assert_int_equal (report.reflinked, 0);
  assert_int_equal (report.published, 1);
  assert_true (physical (one, "usr/library") != physical (two, "usr/library"));
  end (&place, true);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_count),
      cmocka_unit_test (test_xfs),
      cmocka_unit_test (test_btrfs),
      cmocka_unit_test (test_same_size_other_contents),
  };

  /* The mounts go with the namespace, also when a test fails. */
  if (geteuid () == 0 &&
      (unshare (CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
    return 1;
  return cmocka_run_group_tests (tests, NULL, NULL);
}
