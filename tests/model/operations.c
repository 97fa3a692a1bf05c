/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest, or a package manager in it, does to files. Failures of single calls are of no
 * interest here: whatever came out is what has to be kept. */
#include "model.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/xattr.h>

/* A name in a directory. */
struct place {
  int dir_fd;
  char name[256];
};

static void place_release (struct place *place)
{
  cleanup_close (&place->dir_fd);
}
#define autoplace __attribute__ ((cleanup (place_release)))

/* A random directory: down from the root. The caller's descriptor. */
static int pick_directory (struct rng *rng, int root_fd)
{
  int fd = fd_open_dir (root_fd, ".");

  while (fd >= 0 && !rng_chance (rng, 30)) {
    autodirlist struct dirlist list = {0};
    autoerr struct err err = {0};
    size_t directories = 0;

    if (dirread_all (fd, &list, &err) < 0)
      break;
    for (size_t i = 0; i < list.count; i++)
      directories += list.items[i].type == DT_DIR;
    if (!directories)
      break;
    size_t chosen = rng_below (rng, (unsigned) directories), i = 0;
    while (list.items[i].type != DT_DIR || chosen--)
      i++;
    int next = fd_open_dir (fd, list.items[i].name);
    if (next < 0)
      break;
    close (fd);
    fd = next;
  }
  return fd;
}

/* An existing thing; with @type only such (DT_REG, DT_DIR); false when none was met. */
static bool pick (struct rng *rng, int root_fd, unsigned char type, struct place *place)
{
  for (int attempt = 0; attempt < 8; attempt++) {
    autoclose int fd = pick_directory (rng, root_fd);
    autodirlist struct dirlist list = {0};
    autoerr struct err err = {0};
    size_t count = 0;

    if (fd < 0 || dirread_all (fd, &list, &err) < 0)
      return false;
    for (size_t i = 0; i < list.count; i++)
      count += !type || list.items[i].type == type;
    if (!count)
      continue;
    size_t chosen = rng_below (rng, (unsigned) count), i = 0;
    while ((type && list.items[i].type != type) || chosen--)
      i++;
    snprintf (place->name, sizeof place->name, "%s", list.items[i].name);
    place->dir_fd = steal_fd (&fd);
    return true;
  }
  return false;
}

/* A place for something new, which may exist. */
static bool pick_new (struct rng *rng, int root_fd, struct place *place)
{
  place->dir_fd = pick_directory (rng, root_fd);
  make_name (rng, place->name);
  return place->dir_fd >= 0;
}

static void remove_all (struct place *place)
{
  autoerr struct err err = {0};

  if (fd_remove_tree (place->dir_fd, place->name, &err) < 0)
    return;
}

static void op_create (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (pick_new (rng, root_fd, &place))
    make_file (rng, place.dir_fd, place.name);
}

static void op_tmpfile (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};
  char data[100];

  if (!pick_new (rng, root_fd, &place))
    return;
  autoclose int fd = fd_open (place.dir_fd, ".", O_RDWR | O_TMPFILE, 0640);
  fill (rng, data, sizeof data);
  if (fd >= 0 && fd_write_all (fd, data, sizeof data) == 0) {
    autofree char *path = fd_proc_path (fd, NULL);

    if (linkat (AT_FDCWD, path, place.dir_fd, place.name, AT_SYMLINK_FOLLOW) < 0)
      return;
  }
}

static void write_somewhere (struct rng *rng, int fd, off_t size)
{
  char data[700];
  size_t len = 1 + rng_below (rng, sizeof data);
  off_t at = size > 0 ? (off_t) rng_below (rng, (unsigned) size + 1) : 0;

  fill (rng, data, len);
  if (pwrite (fd, data, len, at) < 0)
    return;
}

static void op_write (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};
  struct stat st;

  if (!pick (rng, root_fd, DT_REG, &place))
    return;
  autoclose int fd = fd_open (place.dir_fd, place.name, O_RDWR, 0);
  if (fd < 0 || fstat (fd, &st) < 0)
    return;
  switch (rng_below (rng, 7)) {
  case 0:
    write_somewhere (rng, fd, 0);
    break;
  case 1:
    write_somewhere (rng, fd, st.st_size);
    break;
  case 2:
    if (lseek (fd, 0, SEEK_END) < 0 || fd_write_all (fd, "appended\n", 9) < 0)
      return;
    break;
  case 3:
    if (ftruncate (fd, rng_chance (rng, 50) ? 0 : st.st_size / 2) < 0)
      return;
    break;
  case 4:
    if (ftruncate (fd, st.st_size + rng_below (rng, 200000)) < 0)
      return;
    break;
  case 5:
    if (fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st.st_size / 3, 5000) < 0)
      return;
    break;
  default:
    if (pwrite (fd, "far", 3, st.st_size + rng_below (rng, 300000)) < 0)
      return;
  }
  if (rng_chance (rng, 20))
    change_times (rng, place.dir_fd, place.name);
}

/* Opened for writing without writing: a copy-up and no more. Sometimes with the old times. */
static void op_touch (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};
  struct stat st;

  if (!pick (rng, root_fd, 0, &place) ||
      fstatat (place.dir_fd, place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return;
  if (rng_chance (rng, 50)) {
    struct timespec times[2] = {st.st_atim, st.st_mtim};

    if (utimensat (place.dir_fd, place.name, times, AT_SYMLINK_NOFOLLOW) < 0)
      return;
  } else if (S_ISREG (st.st_mode)) {
    autoclose int fd = fd_open (place.dir_fd, place.name, O_WRONLY, 0);
    (void) fd;
  } else if (fchownat (place.dir_fd, place.name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0) {
    return;
  }
}

static void op_metadata (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (rng_chance (rng, 4)) {
    place.dir_fd = fd_open_dir (root_fd, ".");
    snprintf (place.name, sizeof place.name, ".");
  } else if (!pick (rng, root_fd, 0, &place)) {
    return;
  }
  switch (rng_below (rng, 4)) {
  case 0:
    change_mode (rng, place.dir_fd, place.name);
    break;
  case 1:
    change_owner (rng, place.dir_fd, place.name);
    break;
  case 2:
    change_xattrs (rng, place.dir_fd, place.name);
    break;
  default:
    change_times (rng, place.dir_fd, place.name);
  }
}

static void op_rename (struct rng *rng, int root_fd)
{
  autoplace struct place from = {-1, ""}, to = {-1, ""};
  unsigned flags = rng_chance (rng, 25) ? RENAME_EXCHANGE : 0;
  bool onto = flags || rng_chance (rng, 30);

  if (!pick (rng, root_fd, rng_chance (rng, 50) ? DT_DIR : 0, &from) ||
      !(onto ? pick (rng, root_fd, 0, &to) : pick_new (rng, root_fd, &to)))
    return;
  if (onto && !flags && rng_chance (rng, 50))
    remove_all (&to);
  if (fd_rename (from.dir_fd, from.name, to.dir_fd, to.name, flags) < 0)
    return;
  if (!flags && rng_chance (rng, 40)) {
    if (rng_chance (rng, 50))
      make_file (rng, from.dir_fd, from.name);
    else if (mkdirat (from.dir_fd, from.name, 0711) < 0)
      return;
  }
}

/* In a chain: a to b, b to c, and a again; also a file of a directory that was just renamed. */
static void op_rename_chain (struct rng *rng, int root_fd)
{
  autoplace struct place from = {-1, ""}, to = {-1, ""}, more = {-1, ""};

  if (!pick (rng, root_fd, DT_DIR, &from) || !pick_new (rng, root_fd, &to) ||
      fd_rename (from.dir_fd, from.name, to.dir_fd, to.name, RENAME_NOREPLACE) < 0)
    return;
  autoclose int fd = fd_open_dir (to.dir_fd, to.name);
  struct place inner = {-1, ""};
  if (fd >= 0 && pick (rng, fd, 0, &inner)) {
    if (!pick_new (rng, rng_chance (rng, 50) ? fd : root_fd, &more) ||
        fd_rename (inner.dir_fd, inner.name, more.dir_fd, more.name, 0) < 0)
      errno = 0;
    else if (rng_chance (rng, 50))
      make_file (rng, inner.dir_fd, inner.name);
    place_release (&inner);
  }
  if (rng_chance (rng, 60) && mkdirat (from.dir_fd, from.name, 0755) == 0) {
    autoclose int again = fd_open_dir (from.dir_fd, from.name);

    if (again >= 0 && rng_chance (rng, 70))
      grow_tree (rng, again, fd, 6, 1);
  }
}

static void op_replace_type (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};
  struct stat st;

  if (!pick (rng, root_fd, rng_chance (rng, 50) ? DT_DIR : 0, &place) ||
      fstatat (place.dir_fd, place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return;
  remove_all (&place);
  unsigned kind = rng_below (rng, 10);
  if (S_ISDIR (st.st_mode) && kind < 6) {
    if (kind < 3)
      make_file (rng, place.dir_fd, place.name);
    else
      make_symlink (rng, place.dir_fd, place.name);
  } else if (mkdirat (place.dir_fd, place.name, 0755) == 0) {
    autoclose int fd = fd_open_dir (place.dir_fd, place.name);

    if (fd >= 0 && rng_chance (rng, 70))
      make_file (rng, fd, "a");
  }
}

/* rm -rf, and a directory of the same name with some of the same names in it. */
static void op_recreate (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};

  if (!pick (rng, root_fd, DT_DIR, &place))
    return;
  autoclose int old = fd_open_dir (place.dir_fd, place.name);
  if (old < 0 || dirread_all (old, &list, &err) < 0)
    return;
  remove_all (&place);
  if (mkdirat (place.dir_fd, place.name, 0755) < 0)
    return;
  autoclose int fd = fd_open_dir (place.dir_fd, place.name);
  for (size_t i = 0; fd >= 0 && i < list.count; i++) {
    if (rng_chance (rng, 60))
      continue;
    if (list.items[i].type == DT_DIR && mkdirat (fd, list.items[i].name, 0755) < 0)
      return;
    if (list.items[i].type != DT_DIR)
      make_file (rng, fd, list.items[i].name);
  }
}

static void op_remove (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (!pick (rng, root_fd, 0, &place))
    return;
  if (unlinkat (place.dir_fd, place.name, 0) < 0 &&
      unlinkat (place.dir_fd, place.name, AT_REMOVEDIR) < 0 && rng_chance (rng, 25))
    remove_all (&place);
}

static void op_link (struct rng *rng, int root_fd)
{
  autoplace struct place from = {-1, ""}, to = {-1, ""};

  if (!pick (rng, root_fd, DT_REG, &from) || !pick_new (rng, root_fd, &to))
    return;
  if (rng_chance (rng, 40)) {
    close (to.dir_fd);
    to.dir_fd = fd_open_dir (from.dir_fd, ".");
  }
  if (linkat (from.dir_fd, from.name, to.dir_fd, to.name, 0) < 0)
    return;
  if (rng_chance (rng, 30)) {
    autoclose int fd = fd_open (to.dir_fd, to.name, O_WRONLY | O_APPEND, 0);

    if (fd < 0 || fd_write_all (fd, "through the link", 16) < 0)
      return;
  }
  /* dpkg's way: link the old one away, rename a new one over it, drop the link */
  if (rng_chance (rng, 20) && make_file (rng, from.dir_fd, "dpkg-new") &&
      fd_rename (from.dir_fd, "dpkg-new", from.dir_fd, from.name, 0) == 0 && rng_chance (rng, 50) &&
      unlinkat (to.dir_fd, to.name, 0) < 0)
    return;
  if (rng_chance (rng, 10) && fd_rename (from.dir_fd, from.name, to.dir_fd, to.name, 0) < 0)
    return;
}

static void op_link_any (struct rng *rng, int root_fd)
{
  autoplace struct place from = {-1, ""}, to = {-1, ""};

  if (!pick (rng, root_fd, 0, &from) || !pick_new (rng, root_fd, &to) ||
      linkat (from.dir_fd, from.name, to.dir_fd, to.name, 0) < 0)
    return;
  if (rng_chance (rng, 30))
    change_times (rng, to.dir_fd, to.name);
}

static void op_special (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (pick_new (rng, root_fd, &place))
    make_special (rng, place.dir_fd, place.name);
}

static void op_symlink (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (pick_new (rng, root_fd, &place))
    make_symlink (rng, place.dir_fd, place.name);
}

static void op_mkdir (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (!pick_new (rng, root_fd, &place) || mkdirat (place.dir_fd, place.name, 0755) < 0)
    return;
  autoclose int fd = fd_open_dir (place.dir_fd, place.name);
  if (fd >= 0 && rng_chance (rng, 30))
    grow_tree (rng, fd, -1, 10, 2);
}

/* Written through a descriptor that was opened before the name went. */
static void op_unlinked_write (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (!pick (rng, root_fd, DT_REG, &place))
    return;
  autoclose int fd = fd_open (place.dir_fd, place.name, O_RDWR, 0);
  if (fd < 0)
    return;
  if (rng_chance (rng, 50)) {
    if (unlinkat (place.dir_fd, place.name, 0) < 0)
      return;
  } else if (make_file (rng, place.dir_fd, "z-new") &&
             fd_rename (place.dir_fd, "z-new", place.dir_fd, place.name, 0) < 0) {
    return;
  }
  write_somewhere (rng, fd, 50);
}

/* Written through a read-write descriptor while a read-only one from before is open. */
static void op_package (struct rng *rng, int root_fd)
{
  autoplace struct place place = {-1, ""};

  if (!pick (rng, root_fd, rng_chance (rng, 50) ? DT_REG : 0, &place))
    return;
  if (make_package_file (rng, place.dir_fd, "p.dpkg-new") &&
      fd_rename (place.dir_fd, "p.dpkg-new", place.dir_fd, place.name, 0) < 0)
    unlinkat (place.dir_fd, "p.dpkg-new", 0);
}

/* Renamed away and back: a redirect, or none, to itself. */
static void op_back_and_forth (struct rng *rng, int root_fd)
{
  autoplace struct place from = {-1, ""}, to = {-1, ""};

  if (pick (rng, root_fd, rng_chance (rng, 70) ? DT_DIR : 0, &from) &&
      pick_new (rng, root_fd, &to) &&
      fd_rename (from.dir_fd, from.name, to.dir_fd, to.name, RENAME_NOREPLACE) == 0) {
    if (rng_chance (rng, 40)) {
      autoclose int fd = fd_open_dir (to.dir_fd, to.name);

      if (fd >= 0)
        op_remove (rng, fd);
    }
    if (fd_rename (to.dir_fd, to.name, from.dir_fd, from.name, RENAME_NOREPLACE) < 0)
      return;
  }
}

static const struct {
  const char *name;
  void (*run) (struct rng *rng, int root_fd);
  unsigned weight;
} operations[] = {
    {"create", op_create, 12},
    {"tmpfile", op_tmpfile, 2},
    {"write", op_write, 12},
    {"touch", op_touch, 5},
    {"metadata", op_metadata, 14},
    {"rename", op_rename, 16},
    {"rename-chain", op_rename_chain, 6},
    {"back-and-forth", op_back_and_forth, 3},
    {"replace-type", op_replace_type, 4},
    {"recreate", op_recreate, 4},
    {"remove", op_remove, 8},
    {"link", op_link, 8},
    {"link-any", op_link_any, 2},
    {"special", op_special, 3},
    {"symlink", op_symlink, 4},
    {"mkdir", op_mkdir, 5},
    {"unlinked-write", op_unlinked_write, 2},
    {"package", op_package, 8},
};

const char *random_operation (struct rng *rng, int root_fd)
{
  unsigned total = 0, at = 0;

  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
    total += operations[i].weight;
  unsigned chosen = rng_below (rng, total);
  while (chosen >= operations[at].weight)
    chosen -= operations[at++].weight;
  operations[at].run (rng, root_fd);
  return operations[at].name;
}
