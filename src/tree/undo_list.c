/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an undo layer would change. */
#include "undo_internal.h"
#include "store/identity.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <sys/xattr.h>

enum { PATH_LENGTH_MAX = 1 << 26 };

struct list {
  undo_visit_fn *visit;
  void *data;
  struct strbuf path; /* owned */
};

static int tell (struct list *list, enum undo_change change, const char *name, bool directory,
                 struct err *err)
{
  size_t before = strbuf_push_name (&list->path, name);
  int ret = list->visit (list->data, change, strbuf_str (&list->path), directory, err);

  strbuf_truncate (&list->path, before);
  return ret;
}

/* The same inode, or one that is the same in all that can be seen? */
static int is_same (int undo_fd, int now_fd, const char *name, struct err *err)
{
  struct stat a, b;

  if (fstatat (undo_fd, name, &a, AT_SYMLINK_NOFOLLOW) < 0 ||
      fstatat (now_fd, name, &b, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  return a.st_ino == b.st_ino ? 1 : identity_same (undo_fd, name, now_fd, name, 0, err);
}

static int metadata_differs (int undo_fd, int now_fd, struct err *err)
{
  autoxattrs struct xattrs a_xattrs = {0}, b_xattrs = {0};
  char same[UNDO_SAME_MAX];
  struct stat a, b;
  ssize_t len = fgetxattr (undo_fd, UNDO_SAME, same, sizeof same);

  if (len > 0 && memchr (same, UNDO_SAME_ATTRIBUTES, (size_t) len))
    return 0;
  if (fstat (undo_fd, &a) < 0 || fstat (now_fd, &b) < 0)
    return err_errno (err, "stat a directory");
  if (xattrs_read (undo_fd, -1, NULL, /* with_overlay= */ false, &a_xattrs, err) < 0 ||
      xattrs_read (now_fd, -1, NULL, /* with_overlay= */ false, &b_xattrs, err) < 0)
    return -err->code;
  return a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid ||
         !xattrs_equal (&a_xattrs, &b_xattrs);
}

static int list_dir (struct list *list, int undo_fd, const struct lower *now, struct err *err);

static int list_subdir (struct list *list, int undo_fd, const char *name, bool opaque,
                        const struct lower *now, bool is_file, struct err *err)
{
  autolower struct lower child = LOWER_NONE;
  autoclose int fd = fd_open_dir (undo_fd, name);

  if (fd < 0)
    return err_errno (err, "open the directory %s", name);
  if (lower_child (now, name, &child, err) < 0)
    return -err->code;
  bool is_dir = lower_top (&child) >= 0;
  if (opaque || !is_dir)
    return tell (list, is_dir || is_file ? UNDO_REVERT : UNDO_RESTORE, name, true, err);
  int differs = metadata_differs (fd, lower_top (&child), err);
  if (differs < 0 || (differs && tell (list, UNDO_REVERT, name, true, err) < 0))
    return -err->code;
  size_t before = strbuf_push_name (&list->path, name);
  int ret = list_dir (list, fd, &child, err);
  strbuf_truncate (&list->path, before);
  return ret;
}

static int list_entry (struct list *list, int undo_fd, const char *name, const struct lower *now,
                       struct err *err)
{
  autolayerentry struct layer_entry entry = {0};
  autolower struct lower child = LOWER_NONE;
  int file_fd = lower_find_file (now, name);

  if (layer_read (undo_fd, name, /* x_whiteouts= */ false, &entry, err) < 0)
    return -err->code;
  if (S_ISDIR (entry.st.st_mode))
    return list_subdir (list, undo_fd, name, entry.opaque, now, file_fd >= 0, err);
  if (file_fd < 0 && lower_child (now, name, &child, err) < 0)
    return -err->code;
  bool is_dir = lower_top (&child) >= 0;
  if (entry.whiteout)
    return file_fd >= 0 || is_dir ? tell (list, UNDO_REMOVE, name, is_dir, err) : 0;
  if (file_fd < 0)
    return tell (list, is_dir ? UNDO_REVERT : UNDO_RESTORE, name, false, err);
  int same = is_same (undo_fd, file_fd, name, err);
  return same ? (same < 0 ? same : 0) : tell (list, UNDO_REVERT, name, false, err);
}

static int list_dir (struct list *list, int undo_fd, const struct lower *now, struct err *err)
{
  autodirlist struct dirlist names = {0};

  if (dirread_all (undo_fd, &names, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names.count; i++)
    if (list_entry (list, undo_fd, names.items[i].name, now, err) < 0)
      return err_wrap (err, "%s", names.items[i].name);
  return 0;
}

int undo_each_change (int guest_fd, int entry_fd, undo_visit_fn *visit, void *data, struct err *err)
{
  struct list list = {.visit = visit, .data = data, .path = STRBUF_INIT (PATH_LENGTH_MAX)};
  autoclose int undo_fd = fd_open_dir_beneath (entry_fd, "undo/layer");
  autolower struct lower root = LOWER_NONE;

  if (undo_fd < 0)
    return err_errno (err, "open the undo layer");
  if (lower_open (guest_fd, /* with_private= */ true, &root, err) < 0)
    return -err->code;
  int ret = list_dir (&list, undo_fd, &root, err);
  strbuf_release (&list.path);
  return ret;
}
