/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries as objects: made, found again, removed, and what they have their contents from. */
#include "test.h"
#include "lib/scratch.h"
#include "store/entries.h"
#include "store/entriesmap.h"
#include "store/store_internal.h"
#include "util/fd.h"
#include <sys/xattr.h>

enum { SIZE = 20000 };

struct place {
  char *path;
  int fd;
  struct store *store;
  char data[SIZE];
  uint64_t taken;      /* an inode; 0: none is */
  uint64_t equal;      /* likewise: its contents are known */
  struct digest whole; /* the object that has the contents */
};

static int make_file (struct place *place, const char *name, mode_t mode, struct digest *ret_id)
{
  autoclose int fd = fd_open (place->fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
  struct timespec times[2] = {{1700000000, 1}, {1700000000, 1}};
  autoerr struct err err = {0};

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, place->data, SIZE), 0);
  assert_int_equal (fchmod (fd, mode), 0);
  if (fsetxattr (fd, "user.note", "yes", 3, 0) < 0)
    assert_int_equal (errno, EOPNOTSUPP);
  assert_int_equal (futimens (fd, times), 0);
  assert_int_equal (identity_of (place->store->hasher, place->fd, name, 0, ret_id, NULL, &err), 0);
  return 0;
}

/* "whole" is an object, and "like" shall share its contents. */
static int setup (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);
  struct digest id;
  autoerr struct err err = {0};

  place->path = scratch_make (NULL);
  if (!place->path)
    return -1;
  memset (place->data, 'x', SIZE);
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = place;
  if (store_open (place->fd, &place->store, &err) < 0)
    return -1;
  make_file (place, "whole", 0644, &place->whole);
  make_file (place, "like", 04750, &id);
  return store_publish (place->store, &place->whole, place->fd, "whole", &err);
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

static bool is_taken (void *data, uint64_t ino)
{
  const struct place *place = data;

  return place->taken == ino;
}

static bool is_equal (void *data, uint64_t ino)
{
  const struct place *place = data;

  return place->equal == ino;
}

/* Makes an entry like "like": what entries_make said, and @ret_id, @ret_slot and @ret_st. */
static int make (struct place *place, struct digest *ret_id, unsigned *ret_slot,
                 struct stat *ret_st)
{
  autoerr struct err err = {0};

  assert_int_equal (
      identity_of (place->store->hasher, place->fd, "like", IDENTITY_ENTRY, ret_id, NULL, &err), 0);
  const struct entries_request request = {
      .id = ret_id,
      .flags = IDENTITY_ENTRY,
      .like_dir = place->fd,
      .like = "like",
      .data_dir = place->fd,
      .data = "whole",
      .taken = is_taken,
      .equal = is_equal,
      .fn_data = place,
  };
  int ret = entries_make (place->store, &request, ret_slot, ret_st, &err);
  if (ret == -EPERM)
    skip (); /* trusted attributes are root's */
  assert_true (ret >= 0);
  assert_int_equal (entries_sweep (place->store, &err), 0);
  return ret;
}

static struct stat stat_of (int dir_fd, const char *name)
{
  struct stat st;

  assert_int_equal (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
  return st;
}

/* The path below the store; the caller's. */
static char *object_path (const struct digest *id, unsigned slot)
{
  char name[SLOT_NAME_SIZE];

  slot_name (id, slot, name);
  return xasprintf ("%02x/%s", id->bytes[0], name);
}

/* The path of its link below the store; the caller's. */
static char *link_path (struct place *place, const struct digest *id, unsigned slot)
{
  autofree char *path = object_path (id, slot);
  char text[METAENTRY_PLACE_SIZE];
  struct stat st = stat_of (place->store->fd, path);

  assert_int_equal (metaentry_read (-1, place->store->fd, path, &st, text), 1);
  return xasprintf (METAENTRY_DATA "%s", text);
}

static void test_make (void **state)
{
  struct place *place = *state;
  struct stat like = stat_of (place->fd, "like"), whole, st = {0};
  autoerr struct err err = {0};
  struct digest id, again;
  unsigned slot = 7;

  assert_int_equal (entries_used (place->store, &err), 0);
  assert_int_equal (make (place, &id, &slot, &st), 1);
  assert_int_equal (slot, 0);
  assert_int_equal (entries_used (place->store, &err), 1);
  assert_true (st.st_blocks * 512 < st.st_size);
  assert_int_equal (st.st_size, SIZE);
  assert_int_equal (st.st_mode, like.st_mode);
  assert_int_equal (st.st_mtim.tv_nsec, like.st_mtim.tv_nsec);
  autofree char *path = object_path (&id, 0), *link = link_path (place, &id, 0);
  assert_int_equal (stat_of (place->store->fd, path).st_nlink, 1);
  whole = stat_of (place->fd, "whole");
  assert_int_equal (stat_of (place->store->fd, link).st_ino, whole.st_ino);
  assert_int_equal (whole.st_nlink, 3);
  assert_int_equal (identity_of (place->store->hasher, place->store->fd, path, IDENTITY_ENTRY,
                                 &again, NULL, &err),
                    0);
  assert_true (digest_equal (&id, &again));
  assert_int_equal (identity_same (place->fd, "like", place->store->fd, path, 0, &err), 1);
}

static void test_slots (void **state)
{
  struct place *place = *state;
  struct stat first = {0}, st = {0};
  struct digest id;
  unsigned slot = 7;

  make (place, &id, &slot, &first);
  assert_int_equal (make (place, &id, &slot, &st), 1);
  assert_int_equal (slot, 0);
  assert_int_equal (st.st_ino, first.st_ino);
  /* A tree that has it gets another one. */
  place->taken = first.st_ino;
  assert_int_equal (make (place, &id, &slot, &st), 1);
  assert_int_equal (slot, 1);
  assert_int_not_equal (st.st_ino, first.st_ino);
  assert_int_equal (stat_of (place->fd, "whole").st_nlink, 4);
  /* One whose contents are lost stands for nothing. */
  autofree char *link = link_path (place, &id, 0);
  place->taken = 0;
  assert_int_equal (unlinkat (place->store->fd, link, 0), 0);
  assert_int_equal (make (place, &id, &slot, &st), 1);
  assert_int_equal (slot, 1);
}

/* Contents are compared, unless they are known. */
static void test_compare (void **state)
{
  struct place *place = *state;
  struct stat first = {0}, st = {0};
  struct digest id;
  unsigned slot = 7;

  make (place, &id, &slot, &first);
  autofree char *link = link_path (place, &id, 0);
  autoclose int fd = fd_open (place->fd, "other", O_RDWR | O_CREAT, 0600);
  assert_int_equal (fd_write_all (fd, place->data, SIZE - 1), 0);
  assert_int_equal (fd_write_all (fd, "y", 1), 0);
  assert_int_equal (unlinkat (place->store->fd, link, 0), 0);
  assert_int_equal (linkat (place->fd, "other", place->store->fd, link, 0), 0);
  assert_int_equal (make (place, &id, &slot, &st), 1);
  assert_int_equal (slot, 1);
  place->equal = stat_of (place->fd, "other").st_ino;
  assert_int_equal (make (place, &id, &slot, &st), 1);
  assert_int_equal (slot, 0);
}

static void test_remove (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct stat st = {0};
  struct digest id;
  unsigned slot = 7;

  make (place, &id, &slot, &st);
  autofree char *path = object_path (&id, 0), *link = link_path (place, &id, 0);
  assert_int_equal (entries_remove (place->store, place->store->fd, path, &err), 1);
  assert_int_equal (faccessat (place->store->fd, path, F_OK, AT_SYMLINK_NOFOLLOW), -1);
  assert_int_equal (faccessat (place->store->fd, link, F_OK, AT_SYMLINK_NOFOLLOW), -1);
  assert_int_equal (entries_remove (place->store, place->store->fd, path, &err), 0);
  assert_int_equal (entries_remove (place->store, place->fd, "like", &err), 0);
  assert_int_equal (faccessat (place->fd, "like", F_OK, AT_SYMLINK_NOFOLLOW), -1);
  assert_int_equal (entries_tidy (place->store, &err), 0);
  assert_int_equal (entries_used (place->store, &err), 0);
}

/* In a copy of a root that has no hard links another copy of the entry may use the same place. */
static void test_remove_copied (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct stat st = {0};
  struct digest id;
  unsigned slot = 7;

  make (place, &id, &slot, &st);
  autofree char *path = object_path (&id, 0), *link = link_path (place, &id, 0);
  autofree char *whole = object_path (&place->whole, 0);
  assert_int_equal (unlinkat (place->fd, "whole", 0), 0);
  assert_int_equal (unlinkat (place->store->fd, whole, 0), 0);
  assert_int_equal (entries_remove (place->store, place->store->fd, path, &err), 1);
  assert_int_equal (stat_of (place->store->fd, link).st_nlink, 1);
  assert_int_equal (entries_tidy (place->store, &err), 0);
  assert_int_equal (entries_used (place->store, &err), 1);
}

/* Of somebody who was killed. */
static void test_sweep (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct stat st = {0};
  struct digest id;
  unsigned slot = 7;

  make (place, &id, &slot, &st);
  autofree char *path = object_path (&id, 0), *link = link_path (place, &id, 0);
  /* Published, and still in new/. */
  assert_int_equal (linkat (place->store->fd, path, place->store->fd, "data/new/left", 0), 0);
  assert_int_equal (entries_sweep (place->store, &err), 0);
  assert_int_equal (faccessat (place->store->fd, "data/new/left", F_OK, AT_SYMLINK_NOFOLLOW), -1);
  assert_int_equal (stat_of (place->store->fd, path).st_nlink, 1);
  assert_int_equal (stat_of (place->fd, "whole").st_nlink, 3);
  /* Not published: its link goes as well. */
  assert_int_equal (renameat (place->store->fd, path, place->store->fd, "data/new/left"), 0);
  assert_int_equal (entries_sweep (place->store, &err), 0);
  assert_int_equal (faccessat (place->store->fd, link, F_OK, AT_SYMLINK_NOFOLLOW), -1);
  assert_int_equal (stat_of (place->fd, "whole").st_nlink, 2);
}

static void test_map (void **state)
{
  struct place *place = *state;
  autoentriesmap struct entries_map none = {0}, map = {0}, lost = {0};
  uint64_t whole = stat_of (place->fd, "whole").st_ino;
  autoerr struct err err = {0};
  struct stat st = {0};
  struct digest id;
  unsigned slot = 7;

  assert_int_equal (entries_map_load (place->store, &none, &err), 0);
  assert_int_equal (none.count, 0);
  make (place, &id, &slot, &st);
  assert_int_equal (entries_map_load (place->store, &map, &err), 0);
  assert_int_equal (map.count, 1);
  assert_true (map.links[0].used);
  assert_int_equal (entries_map_contents (&map, st.st_ino), whole);
  assert_int_equal (entries_map_contents (&map, whole), whole);
  struct stat like = stat_of (place->fd, "like");
  assert_int_equal (entries_map_add (&map, place->fd, "like", &like, &err), 0);
  autofree char *path = object_path (&id, 0), *link = link_path (place, &id, 0);
  assert_int_equal (linkat (place->store->fd, link, place->store->fd, "data/00", 0), 0);
  assert_int_equal (unlinkat (place->store->fd, link, 0), 0);
  assert_int_equal (unlinkat (place->store->fd, "data/00", 0), 0);
  /* Contents that are lost are told to who asks for that file. */
  assert_int_equal (entries_map_load (place->store, &lost, &err), 0);
  assert_int_equal (lost.count, 0);
  assert_int_equal (entries_map_add (&lost, place->store->fd, path, &st, &err), -EUCLEAN);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_make, setup, teardown),
      cmocka_unit_test_setup_teardown (test_slots, setup, teardown),
      cmocka_unit_test_setup_teardown (test_compare, setup, teardown),
      cmocka_unit_test_setup_teardown (test_remove, setup, teardown),
      cmocka_unit_test_setup_teardown (test_remove_copied, setup, teardown),
      cmocka_unit_test_setup_teardown (test_sweep, setup, teardown),
      cmocka_unit_test_setup_teardown (test_map, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
