/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entry.h"
#include "util/fd.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

void entry_release (struct entry *entry)
{
  xattrs_release (&entry->xattrs);
}

int entry_set_xattr (struct entry *entry, const char *name, const void *value, size_t len,
                     struct err *err)
{
  static const char *const harmless[] = {"origin", "impure", "nlink", "uuid", NULL};
  struct xattrs *xattrs = &entry->xattrs;
  struct xattr *x = NULL;

  if (xattr_is_overlay (name)) {
    for (const char *const *word = harmless; *word; word++)
      if (strcmp (name + strlen (XATTR_OVERLAY), *word) == 0)
        return 0;
    return err_code (err, EINVAL,
                     "refused: the attribute %.60s belongs to an overlay's upper layer, which is "
                     "no complete tree",
                     name);
  }
  for (size_t i = 0; i < xattrs->count; i++)
    if (strcmp (xattrs->items[i].name, name) == 0)
      x = &xattrs->items[i];
  if (x) {
    free (x->value);
  } else {
    xattrs->items = xreallocarray (xattrs->items, xattrs->count + 1, sizeof *xattrs->items);
    x = &xattrs->items[xattrs->count++];
    x->name = xstrdup (name);
  }
  x->value = xmalloc (len);
  x->len = len;
  if (len)
    memcpy (x->value, value, len);
  return 0;
}

bool entry_is_harmless (const struct entry *entry)
{
  /* null, zero, full, random, urandom; tty, console, ptmx; fuse and tun, which have drivers of
   * their own checks; and terminals. */
  static const struct {
    unsigned major, first, last;
  } usual[] = {{1, 3, 3},      {1, 5, 5},     {1, 7, 9},
               {5, 0, 2},      {4, 0, 63},    {136, 0, UINT32_MAX},
               {10, 200, 200}, {10, 229, 229}};

  if (S_ISBLK (entry->mode))
    return false;
  if (!S_ISCHR (entry->mode))
    return true;
  for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
    if (major (entry->rdev) == usual[i].major && minor (entry->rdev) >= usual[i].first &&
        minor (entry->rdev) <= usual[i].last)
      return true;
  return false;
}

int entry_read (int fd, int dir_fd, const char *name, const struct stat *st,
                struct entry *ret_entry, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};
  autoentry struct entry entry = {
      .mode = st->st_mode,
      .uid = st->st_uid,
      .gid = st->st_gid,
      .rdev = st->st_rdev,
      .mtime = st->st_mtim,
  };

  if (xattrs_read (fd, dir_fd, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  for (size_t i = 0; i < xattrs.count; i++) {
    const struct xattr *x = &xattrs.items[i];

    if (entry_set_xattr (&entry, x->name, x->value, x->len, err) < 0)
      return -err->code;
  }
  *ret_entry = entry;
  entry.xattrs = (struct xattrs){0};
  return 0;
}

int entry_check (const struct entry *entry, struct err *err)
{
  if (S_ISCHR (entry->mode) && entry->rdev == makedev (0, 0))
    return err_code (err, EINVAL,
                     "refused: a character device 0/0, the mark of an overlay's upper layer, which "
                     "is no complete tree");
  return 0;
}

int entry_apply_directory (const struct entry *entry, int fd, struct err *err)
{
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};

  if (fchown (fd, entry->uid, entry->gid) < 0)
    return err_errno (err, "set the owner");
  if (fchmod (fd, entry->mode & 07777) < 0)
    return err_errno (err, "set the mode");
  if (xattrs_apply (fd, -1, NULL, &entry->xattrs, err) < 0)
    return -err->code;
  if (futimens (fd, times) < 0)
    return err_errno (err, "set the time");
  return 0;
}

static int set_xattrs (const struct entry *entry, int fd, int dir_fd, const char *name,
                       struct err *err)
{
  autofree char *path = fd >= 0 ? NULL : fd_proc_path (dir_fd, name);

  for (size_t i = 0; i < entry->xattrs.count; i++) {
    const struct xattr *x = &entry->xattrs.items[i];
    int ret = path ? lsetxattr (path, x->name, x->value, x->len, 0)
                   : fsetxattr (fd, x->name, x->value, x->len, 0);

    if (ret < 0)
      return err_errno (err, "set the attribute %.60s", x->name);
  }
  return 0;
}

int entry_apply_file (const struct entry *entry, int fd, int dir_fd, const char *name, bool owned,
                      struct err *err)
{
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};
  mode_t mode = entry->mode & 07777;
  bool link = S_ISLNK (entry->mode);
  int ret;

  if (!owned || entry->uid != 0 || entry->gid != 0) {
    ret = fd >= 0 ? fchown (fd, entry->uid, entry->gid)
                  : fchownat (dir_fd, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW);
    if (ret < 0)
      return err_errno (err, "set the owner");
  }
  if (!link && mode & 07000) {
    ret = fd >= 0 ? fchmod (fd, mode) : fchmodat (dir_fd, name, mode, 0);
    if (ret < 0)
      return err_errno (err, "set the mode");
  }
  if (entry->xattrs.count && set_xattrs (entry, fd, dir_fd, name, err) < 0)
    return -err->code;
  if (entry->mtime.tv_nsec == UTIME_OMIT)
    return 0;
  ret = fd >= 0 ? futimens (fd, times) : utimensat (dir_fd, name, times, AT_SYMLINK_NOFOLLOW);
  if (ret < 0)
    return err_errno (err, "set the time");
  return 0;
}
