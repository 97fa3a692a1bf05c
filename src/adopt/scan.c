/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/strbuf.h"
#include "util/u64table.h"
#include "util/xattr.h"
#include <linux/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { PATHS_MAX = 1 << 20, NAMES_MAX = 64 << 10 };

struct walk {
  const struct stat *other;
  dev_t dev;
  struct strbuf path;     /* owned */
  struct u64table inodes; /* owned: of files with several names */
  struct scan scan;       /* owned */
};

void scan_release (struct scan *scan)
{
  free (scan->first_protected);
  *scan = (struct scan){0};
}

static int refuse_overlay (const struct walk *walk, const char *what, struct err *err)
{
  return err_code (err, ERR_USAGE,
                   "/%s %s: this is only a layer of an overlay, as docker and podman have them; "
                   "adopt what docker export or podman export writes",
                   strbuf_str (&walk->path), what);
}

/* Names only: values are not needed. */
static int check_xattrs (const struct walk *walk, int dir_fd, const char *name, struct err *err)
{
  autofree char *path = fd_proc_path (dir_fd, name);
  char small[512];
  autofree char *large = NULL;
  char *list = small;
  ssize_t len = llistxattr (path, small, sizeof small);

  if (len < 0 && errno == ERANGE) {
    list = large = xmalloc (NAMES_MAX);
    len = llistxattr (path, large, NAMES_MAX);
  }
  if (len < 0 && errno != EOPNOTSUPP)
    return err_errno (err, "list the extended attributes of /%s", strbuf_str (&walk->path));
  for (const char *at = list; len > 0 && at < list + len; at += strlen (at) + 1)
    if (xattr_is_overlay (at))
      return refuse_overlay (walk, "has attributes of overlayfs", err);
  return 0;
}

static int count_file (struct walk *walk, const struct statx *st, struct err *err)
{
  struct scan *scan = &walk->scan;
  bool is_new = true;

  if (S_ISCHR (st->stx_mode) && !st->stx_rdev_major && !st->stx_rdev_minor)
    return refuse_overlay (walk, "is a whiteout", err);
  scan->files++;
  scan->sockets += S_ISSOCK (st->stx_mode);
  if (st->stx_nlink > 1)
    u64table_put (&walk->inodes, st->stx_ino, &is_new);
  if (is_new)
    scan->bytes += st->stx_blocks * 512;
  return 0;
}

static int walk_dir (struct walk *walk, int fd, struct err *err);

static int walk_entry (struct walk *walk, int dir_fd, const char *name, struct err *err)
{
  struct statx st;

  if (statx (dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &st) < 0)
    return err_errno (err, "stat /%s", strbuf_str (&walk->path));
  if (makedev (st.stx_dev_major, st.stx_dev_minor) != walk->dev)
    return err_code (err, ERR_USAGE,
                     "/%s is on another file system or subvolume: unmount it, and give it to the "
                     "guest by mounts+=",
                     strbuf_str (&walk->path));
  if (check_xattrs (walk, dir_fd, name, err) < 0)
    return -err->code;
  if (st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) {
    walk->scan.protected ++;
    if (!walk->scan.first_protected)
      walk->scan.first_protected = xasprintf ("/%s", strbuf_str (&walk->path));
  }
  if (!S_ISDIR (st.stx_mode))
    return count_file (walk, &st, err);
  if (st.stx_ino == walk->other->st_ino && walk->dev == walk->other->st_dev)
    return err_code (err, ERR_USAGE, "/%s is the state root of vguest itself",
                     strbuf_str (&walk->path));
  autoclose int fd = fd_open_dir (dir_fd, name);
  if (fd < 0)
    return err_errno (err, "open the directory /%s", strbuf_str (&walk->path));
  return walk_dir (walk, fd, err);
}

static int walk_dir (struct walk *walk, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "/%s", strbuf_str (&walk->path));
  walk->scan.directories++;
  for (size_t i = 0; i < list.count; i++) {
    size_t before = strbuf_push_name (&walk->path, list.items[i].name);
    int ret = walk_entry (walk, fd, list.items[i].name, err);

    strbuf_truncate (&walk->path, before);
    if (ret < 0)
      return ret;
  }
  return 0;
}

int scan_tree (int fd, const struct stat *other, struct scan *ret_scan, struct err *err)
{
  struct walk walk = {.other = other, .path = STRBUF_INIT (PATHS_MAX)};
  autoclose int top = fd_open_dir (fd, ".");
  struct stat st;
  int ret;

  if (top < 0 || fstat (top, &st) < 0)
    return err_errno (err, "open the tree");
  walk.dev = st.st_dev;
  ret = check_xattrs (&walk, top, ".", err);
  if (ret == 0)
    ret = walk_dir (&walk, top, err);
  strbuf_release (&walk.path);
  u64table_release (&walk.inodes);
  if (ret < 0) {
    scan_release (&walk.scan);
    return ret;
  }
  *ret_scan = walk.scan;
  return 0;
}
