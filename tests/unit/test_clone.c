/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several clones at once, and clones where no links can be made. */
#include "test.h"
#include "tree/clone.h"
#include "lib/scratch.h"
#include "util/fd.h"

enum { TARGETS = 3, FILES = 3000 };

struct place {
  char *path;
  int fd;
  struct store *store;
};

static int setup (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);
  autoerr struct err err = {0};

  place->path = scratch_make (NULL);
  *state = place;
  if (!place->path)
    return -1;
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return store_open (place->fd, &place->store, &err);
}

static int teardown (void **state)
{
  struct place *place = *state;

  store_close (place->store);
  close (place->fd);
  int ret = scratch_remove (place->path);
  free (place->path);
  free (place);
  return ret;
}

static int make_dir (int dir_fd, const char *name)
{
  int fd = fd_make_dir (dir_fd, name, 0755);

  assert_true (fd >= 0);
  return fd;
}

static void make_file (int dir_fd, const char *name, const char *text)
{
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0640);

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, text, strlen (text)), 0);
}

static struct stat stat_of (int dir_fd, const char *name)
{
  struct stat st;

  assert_int_equal (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
  return st;
}

/* A source with many files in one directory, more than one read of it gives; the caller's. */
static int make_source (int dir_fd)
{
  int fd = make_dir (dir_fd, "source");
  autoclose int many = make_dir (fd, "many");
  struct timespec times[2] = {{1700000000, 1}, {1600000000, 2}};

  for (int i = 0; i < FILES; i++) {
    char name[40];

    snprintf (name, sizeof name, "a name that takes some room %05d", i);
    make_file (many, name, "text");
  }
  make_file (fd, "a", "partners");
  assert_int_equal (linkat (fd, "a", many, "b", 0), 0);
  assert_int_equal (linkat (fd, "a", fd, "c", 0), 0);
  assert_int_equal (symlinkat ("a", fd, "link"), 0);
  assert_int_equal (fchmod (many, 0510), 0);
  assert_int_equal (futimens (many, times), 0);
  return fd;
}

/* Targets below @dir_fd, and what each needs. */
struct targets {
  struct clone_target items[TARGETS];
  struct share shares[TARGETS];
  struct u64set inodes[TARGETS];
};

static void make_targets (struct place *place, int dir_fd, struct targets *targets)
{
  for (int i = 0; i < TARGETS; i++) {
    char name[20];

    snprintf (name, sizeof name, "to%d", i);
    targets->inodes[i] = (struct u64set){0};
    targets->items[i] =
        (struct clone_target){.to_fd = make_dir (dir_fd, name), .share = &targets->shares[i]};
    snprintf (name, sizeof name, "temp%d", i);
    targets->shares[i] = (struct share){
        .store = place->store, .inodes = &targets->inodes[i], .temp_fd = make_dir (dir_fd, name)};
  }
}

static void release_targets (struct targets *targets)
{
  for (int i = 0; i < TARGETS; i++) {
    close (targets->items[i].to_fd);
    close (targets->shares[i].temp_fd);
    err_release (&targets->items[i].err);
    share_release (&targets->shares[i]);
    u64set_release (&targets->inodes[i]);
  }
}

static void check_made (const struct clone_target *target)
{
  if (target->err.code)
    fail_msg ("%s", err_text (&target->err));
  assert_int_equal (target->counts.files, FILES + 4);
  assert_int_equal (target->counts.directories, 2);
  struct stat st = stat_of (target->to_fd, "many");
  assert_int_equal (st.st_mode & 07777, 0510);
  assert_int_equal (st.st_mtim.tv_sec, 1600000000);
  assert_int_equal (st.st_mtim.tv_nsec, 2);
  st = stat_of (target->to_fd, "a");
  assert_int_equal (st.st_ino, stat_of (target->to_fd, "c").st_ino);
  assert_int_equal (st.st_ino, stat_of (target->to_fd, "many/b").st_ino);
  assert_int_equal (st.st_mode & 07777, 0640);
  assert_true (S_ISLNK (stat_of (target->to_fd, "link").st_mode));
}

static void one_that_fails_leaves_the_others (void **state)
{
  struct place *place = *state;
  autoclose int source = make_source (place->fd);
  autoerr struct err err = {0};
  struct targets targets;

  make_targets (place, place->fd, &targets);
  make_file (targets.items[1].to_fd, "many", "in the way");
  if (clone_trees (source, NULL, targets.items, TARGETS, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_int_equal (targets.items[1].err.code, EEXIST);
  for (int i = 0; i < TARGETS; i += 2) {
    check_made (&targets.items[i]);
    assert_int_equal (targets.items[i].counts.copied, 0);
    assert_int_equal (stat_of (source, "a").st_ino, stat_of (targets.items[i].to_fd, "a").st_ino);
  }
  release_targets (&targets);
}

static void what_cannot_be_linked_is_copied (void **state)
{
  struct place *place = *state;
  autofree char *path = scratch_make ("/dev/shm");
  autoerr struct err err = {0};
  struct targets targets;

  if (!path)
    skip (); /* no other file system */
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (stat_of (fd, ".").st_dev == stat_of (place->fd, ".").st_dev) {
    assert_int_equal (scratch_remove (path), 0);
    skip ();
  }
  autoclose int source = make_source (place->fd);
  make_targets (place, fd, &targets);
  int ret = clone_trees (source, NULL, targets.items, TARGETS, &err);
  for (int i = 0; ret == 0 && i < TARGETS; i++) {
    check_made (&targets.items[i]);
    assert_int_equal (targets.items[i].counts.copied, FILES + 4);
    assert_int_equal (stat_of (targets.items[i].to_fd, "a").st_nlink, 4); /* one is temporary */
  }
  release_targets (&targets);
  assert_int_equal (scratch_remove (path), 0);
  if (ret < 0)
    fail_msg ("%s", err_text (&err));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (one_that_fails_leaves_the_others, setup, teardown),
      cmocka_unit_test_setup_teardown (what_cannot_be_linked_is_copied, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
