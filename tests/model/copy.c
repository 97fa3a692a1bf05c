/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying and cloning, in the plainest way. */
#include "model.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/xattr.h"
#include <inttypes.h>
#include <sys/xattr.h>

struct copier {
  int links_fd; /* a link to each copied inode, named by the number of the original */
};

static int copy_metadata (int from_fd, const char *name, int to_fd, const struct stat *st,
                          struct err *err)
{
  autofree char *path = fd_proc_path (to_fd, name);
  autoxattrs struct xattrs xattrs = {0};
  struct timespec times[2] = {st->st_atim, st->st_mtim};

  if (fchownat (to_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
      (!S_ISLNK (st->st_mode) && fchmodat (to_fd, name, st->st_mode & 07777, 0) < 0))
    return err_errno (err, "chown or chmod the copy of %s", name);
  if (xattrs_read (-1, from_fd, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  /* A default ACL of the directory may have left its mark. */
  if (lremovexattr (path, "system.posix_acl_access") < 0)
    errno = 0;
  if (S_ISDIR (st->st_mode) && lremovexattr (path, "system.posix_acl_default") < 0)
    errno = 0;
  for (size_t i = 0; i < xattrs.count; i++)
    if (lsetxattr (path, xattrs.items[i].name, xattrs.items[i].value, xattrs.items[i].len, 0) < 0)
      return err_errno (err, "set %s of the copy of %s", xattrs.items[i].name, name);
  if (!S_ISLNK (st->st_mode) && fchmodat (to_fd, name, st->st_mode & 07777, 0) < 0)
    return err_errno (err, "chmod the copy of %s", name);
  if (utimensat (to_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "set the times of the copy of %s", name);
  return 0;
}

int copy_one (int from_fd, const char *name, int to_fd, const struct stat *st, struct err *err)
{
  if (S_ISREG (st->st_mode)) {
    autoclose int in = fd_open (from_fd, name, O_RDONLY, 0);
    autoclose int out = fd_open (to_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

    if (in < 0 || out < 0 || fd_copy_contents (in, out, st->st_size) < 0)
      return err_errno (err, "copy %s", name);
  } else if (S_ISLNK (st->st_mode)) {
    autofree char *target = xcalloc (1, (size_t) st->st_size + 1);

    if (readlinkat (from_fd, name, target, (size_t) st->st_size) < 0 ||
        symlinkat (target, to_fd, name) < 0)
      return err_errno (err, "copy the symlink %s", name);
  } else if (mknodat (to_fd, name, st->st_mode, st->st_rdev) < 0) {
    return err_errno (err, "copy the special file %s", name);
  }
  return copy_metadata (from_fd, name, to_fd, st, err);
}

/* With no @copier, files are linked. */
static int copy_below (const struct copier *copier, int from_fd, int to_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (from_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    struct stat st;
    char link_name[32];

    if (fstatat (from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", name);
    if (S_ISDIR (st.st_mode)) {
      autoclose int from = fd_open_dir (from_fd, name);
      autoclose int to = fd_make_dir (to_fd, name, 0700);

      if (from < 0 || to < 0)
        return err_errno (err, "copy the directory %s", name);
      if (copy_below (copier, from, to, err) < 0 || copy_metadata (from_fd, name, to_fd, &st, err))
        return -err->code;
      continue;
    }
    if (!copier) {
      if (linkat (from_fd, name, to_fd, name, 0) < 0)
        return err_errno (err, "link %s", name);
      continue;
    }
    snprintf (link_name, sizeof link_name, "%" PRIu64, (uint64_t) st.st_ino);
    if (st.st_nlink > 1 && linkat (copier->links_fd, link_name, to_fd, name, 0) == 0)
      continue;
    if (copy_one (from_fd, name, to_fd, &st, err) < 0)
      return -err->code;
    if (st.st_nlink > 1 && linkat (to_fd, name, copier->links_fd, link_name, 0) < 0)
      return err_errno (err, "keep a link to %s", name);
  }
  return 0;
}

int copy_top (int from_fd, int to_fd, struct err *err)
{
  struct stat st;

  if (fstat (from_fd, &st) < 0)
    return err_errno (err, "stat the top directory");
  return copy_metadata (from_fd, ".", to_fd, &st, err);
}

int copy_all (int from_fd, int to_fd, struct err *err)
{
  autoclose int links_fd = fd_make_dir (to_fd, ".copy-links", 0700);
  struct copier copier = {.links_fd = links_fd};

  if (links_fd < 0)
    return err_errno (err, "make a directory");
  if (copy_below (&copier, from_fd, to_fd, err) < 0 ||
      fd_remove_tree (to_fd, ".copy-links", err) < 0 || copy_top (from_fd, to_fd, err) < 0)
    return -err->code;
  return 0;
}

int link_all (int from_fd, int to_fd, struct err *err)
{
  if (copy_below (NULL, from_fd, to_fd, err) < 0)
    return -err->code;
  return copy_top (from_fd, to_fd, err);
}
