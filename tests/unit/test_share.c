/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots, and full inodes: of store_share and of clone_tree. */
#include "test.h"
#include "store/store.h"
#include "tree/clone.h"
#include "lib/scratch.h"
#include "util/fd.h"

enum { LINKS_TRIED = 65001 };

struct place {
  char *path;
  int fd; /* the directory of all below */
  int temp_fd;
  struct store *store;
};

static int make_dir (int dir_fd, const char *name)
{
  int fd = fd_make_dir (dir_fd, name, 0755);

  assert_true (fd >= 0);
  return fd;
}

static int setup (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);
  autoerr struct err err = {0};

  place->path = scratch_make (NULL);
  if (!place->path)
    return -1;
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  place->temp_fd = make_dir (place->fd, "temp");
  *state = place;
  return store_open (place->fd, &place->store, &err);
}

static int teardown (void **state)
{
  struct place *place = *state;

  store_close (place->store);
  close (place->temp_fd);
  close (place->fd);
  int ret = scratch_remove (place->path);
  free (place->path);
  free (place);
  return ret;
}

/* A file with the same identity each time. */
static void write_file (int dir_fd, const char *name)
{
  struct timespec times[2] = {{1700000000, 1}, {1700000000, 1}};
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, "same\n", 5), 0);
  assert_int_equal (futimens (fd, times), 0);
}

static uint64_t inode_of (int dir_fd, const char *name)
{
  struct stat st;

  assert_int_equal (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
  return st.st_ino;
}

static void share_file (struct share *share, int dir_fd, const char *name, struct digest *ret_id,
                        enum share_outcome expected)
{
  autoerr struct err err = {0};
  enum share_outcome outcome;
  uint64_t ino;

  assert_int_equal (identity_of (share->store->hasher, dir_fd, name, 0, ret_id, NULL, &err), 0);
  struct share_file file = {.dir_fd = dir_fd, .name = name, .id = ret_id};
  if (store_share (share, &file, &outcome, &ino, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_int_equal (outcome, expected);
  assert_int_equal (ino, inode_of (dir_fd, name));
}

static uint64_t slot_inode (struct place *place, const struct digest *id, unsigned slot)
{
  autoerr struct err err = {0};
  struct stat st;

  return store_stat_slot (place->store, id, slot, &st, &err) > 0 ? st.st_ino : 0;
}

static void share_tree (struct place *place, const char *name, enum share_outcome expected)
{
  static const char *const files[] = {"a", "b", "c"};
  autou64set struct u64set inodes = {0};
  autoshare struct share share = {
      .store = place->store, .inodes = &inodes, .temp_fd = place->temp_fd};
  autoclose int fd = make_dir (place->fd, name);
  struct digest id;

  for (unsigned i = 0; i < 3; i++) {
    write_file (fd, files[i]);
    u64set_add (&inodes, inode_of (fd, files[i]));
  }
  for (unsigned i = 0; i < 3; i++) {
    share_file (&share, fd, files[i], &id, expected);
    assert_int_equal (slot_inode (place, &id, i), inode_of (fd, files[i]));
  }
  assert_int_equal (slot_inode (place, &id, 3), 0);
}

static void the_kth_use_shares_with_slot_k (void **state)
{
  struct place *place = *state;

  share_tree (place, "first", SHARE_PUBLISHED);
  share_tree (place, "second", SHARE_LINKED);
  share_tree (place, "third", SHARE_LINKED);
}

static void a_second_pass_changes_nothing (void **state)
{
  struct place *place = *state;
  autou64set struct u64set inodes = {0};
  autoshare struct share share = {
      .store = place->store, .inodes = &inodes, .temp_fd = place->temp_fd};
  struct digest id;

  share_tree (place, "tree", SHARE_PUBLISHED);
  autoclose int fd = make_dir (place->fd, "tree");
  u64set_add (&inodes, inode_of (fd, "a"));
  u64set_add (&inodes, inode_of (fd, "b"));
  u64set_add (&inodes, inode_of (fd, "c"));
  share_file (&share, fd, "a", &id, SHARE_ALREADY);
  share_file (&share, fd, "b", &id, SHARE_ALREADY);
  share_file (&share, fd, "c", &id, SHARE_ALREADY);
}

/* Makes links to @name until the inode has @count, or no more fit. Returns how many it has. */
static unsigned fill_links (struct place *place, int dir_fd, const char *name, unsigned count)
{
  autoclose int fd = make_dir (place->fd, "links");
  struct stat st;
  char link[20];

  assert_int_equal (fstatat (dir_fd, name, &st, 0), 0);
  for (unsigned n = (unsigned) st.st_nlink; n < count; n++) {
    snprintf (link, sizeof link, "%u", n);
    if (linkat (dir_fd, name, fd, link, 0) < 0) {
      assert_int_equal (errno, EMLINK);
      return n;
    }
  }
  return count;
}

static void a_full_slot_opens_the_next (void **state)
{
  struct place *place = *state;
  autou64set struct u64set inodes = {0};
  autoshare struct share share = {
      .store = place->store, .inodes = &inodes, .temp_fd = place->temp_fd};
  struct digest id;

  autoclose int first = make_dir (place->fd, "first");
  write_file (first, "a");
  share_file (&share, first, "a", &id, SHARE_PUBLISHED);
  if (fill_links (place, first, "a", STORE_LINKS_MAX) < STORE_LINKS_MAX)
    skip (); /* this file system is full earlier */
  autou64set struct u64set others = {0};
  autoshare struct share other = {
      .store = place->store, .inodes = &others, .temp_fd = place->temp_fd};
  autoclose int second = make_dir (place->fd, "second");
  write_file (second, "a");
  share_file (&other, second, "a", &id, SHARE_PUBLISHED);
  assert_int_equal (slot_inode (place, &id, 1), inode_of (second, "a"));
}

static void clone (struct place *place, int from_fd, const char *to, int *ret_fd)
{
  autoerr struct err err = {0};
  autou64set struct u64set inodes = {0};
  autofree char *temp = xasprintf ("%s.temp", to);
  autoclose int temp_fd = make_dir (place->fd, temp);
  autoshare struct share share = {.store = place->store, .inodes = &inodes, .temp_fd = temp_fd};
  struct clone_counts counts;

  *ret_fd = make_dir (place->fd, to);
  if (clone_tree (from_fd, *ret_fd, NULL, &share, &counts, &err) < 0)
    fail_msg ("%s", err_text (&err));
}

static void clones_of_a_full_inode_are_equal (void **state)
{
  struct place *place = *state;
  autou64set struct u64set inodes = {0};
  autoshare struct share share = {
      .store = place->store, .inodes = &inodes, .temp_fd = place->temp_fd};
  struct digest id, clone_id;
  autoerr struct err err = {0};
  autoclose int first = -1, second = -1;

  autoclose int source = make_dir (place->fd, "source");
  autoclose int deep = make_dir (source, "deep");
  write_file (source, "a");
  write_file (source, "other"); /* equal, and no partner */
  assert_int_equal (linkat (source, "a", deep, "partner", 0), 0);
  share_file (&share, source, "a", &id, SHARE_PUBLISHED);
  share_file (&share, source, "other", &id, SHARE_PUBLISHED);
  unsigned most = fill_links (place, source, "a", LINKS_TRIED);
  if (most >= LINKS_TRIED)
    skip (); /* no limit to be met here */
  /* One more link fits: one name of the clone gets it, and must not keep it. */
  autoclose int links = make_dir (place->fd, "links");
  char last[20];
  snprintf (last, sizeof last, "%u", most - 1);
  assert_int_equal (unlinkat (links, last, 0), 0);

  clone (place, source, "first", &first);
  autoclose int first_deep = make_dir (first, "deep");
  assert_int_equal (inode_of (first, "a"), inode_of (first_deep, "partner"));
  assert_int_not_equal (inode_of (first, "a"), inode_of (source, "a"));
  assert_int_not_equal (inode_of (first, "a"), inode_of (first, "other"));
  assert_int_equal (inode_of (first, "other"), inode_of (source, "other"));
  assert_int_equal (identity_of (place->store->hasher, first, "a", 0, &clone_id, NULL, &err), 0);
  assert_true (digest_equal (&id, &clone_id));
  assert_int_equal (slot_inode (place, &id, 2), inode_of (first, "a"));

  /* The next clone shares the new inode. */
  assert_int_equal (linkat (source, "a", links, last, 0), 0);
  clone (place, source, "second", &second);
  assert_int_equal (inode_of (second, "a"), inode_of (first, "a"));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (the_kth_use_shares_with_slot_k, setup, teardown),
      cmocka_unit_test_setup_teardown (a_second_pass_changes_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown (a_full_slot_opens_the_next, setup, teardown),
      cmocka_unit_test_setup_teardown (clones_of_a_full_inode_are_equal, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
