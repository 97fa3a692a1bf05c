/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "copy.h"
#include "metaentry.h"
#include "fd.h"
#include "xattr.h"

static int make_contents (int from_dir, const char *from, const struct stat *st, int data_dir,
                          const char *data, int to_dir, const char *to, int *ret_fd,
                          struct err *err)
{
  if (S_ISREG (st->st_mode)) {
    autoclose int out = fd_open (to_dir, to, O_RDWR | O_CREAT | O_EXCL, 0600);
    struct stat in_st = {0};

    if (out < 0)
      return err_errno (err, "create the copy of %s", from);
    autoclose int in =
        fd_open (data ? data_dir : from_dir, data ? data : from, O_RDONLY | O_NONBLOCK, 0);
    /* A copy of an entry is a whole file. */
    if (in < 0 || fstat (in, &in_st) < 0 || metaentry_follow (&in, &in_st) < 0 ||
        fd_copy_contents (in, out, st->st_size) < 0)
      return err_errno (err, "copy %s", from);
    *ret_fd = steal_fd (&out);
    return 0;
  }
  if (S_ISLNK (st->st_mode)) {
    autofree char *target = xcalloc (1, (size_t) st->st_size + 1);

    if (readlinkat (from_dir, from, target, (size_t) st->st_size) < 0 ||
        symlinkat (target, to_dir, to) < 0)
      return err_errno (err, "copy the symlink %s", from);
    return 0;
  }
  if (mknodat (to_dir, to, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0)
    return err_errno (err, "copy the special file %s", from);
  return 0;
}

static int set_metadata (int from_dir, const char *from, const struct stat *st, int to_dir,
                         const char *to, int to_fd, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};
  struct timespec times[2] = {st->st_atim, st->st_mtim};

  /* chown clears set-id bits and capabilities: it comes first. */
  if (fchownat (to_dir, to, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "set the owner of the copy of %s", from);
  if (xattrs_read (-1, from_dir, from, /* with_overlay= */ false, &xattrs, err) < 0 ||
      xattrs_apply (to_fd, to_dir, to, &xattrs, err) < 0)
    return -err->code;
  if (!S_ISLNK (st->st_mode) && fchmodat (to_dir, to, st->st_mode & 07777, 0) < 0)
    return err_errno (err, "set the mode of the copy of %s", from);
  if (utimensat (to_dir, to, times, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "set the times of the copy of %s", from);
  return 0;
}

int copy_inode (int from_dir, const char *from, const struct stat *st, int data_dir,
                const char *data, int to_dir, const char *to, struct err *err)
{
  autoclose int fd = -1;
  int ret = make_contents (from_dir, from, st, data_dir, data, to_dir, to, &fd, err);

  if (ret == 0)
    ret = set_metadata (from_dir, from, st, to_dir, to, fd, err);
  if (ret < 0 && ret != -EEXIST)
    unlinkat (to_dir, to, 0);
  return ret;
}
