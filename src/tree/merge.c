/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "merge.h"
#include "clone.h"
#include "layer.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/xattr.h"

/* Is it a directory that hides what is below? @ret_fd is open when @type is a directory's. */
static int open_child (int from_fd, const char *name, unsigned char type, int *ret_fd,
                       struct err *err)
{
  *ret_fd = -1;
  if (type != DT_DIR)
    return 0;
  *ret_fd = fd_open_dir (from_fd, name);
  if (*ret_fd < 0)
    return err_errno (err, "open the directory %s", name);
  return layer_is_opaque (*ret_fd, err);
}

static int is_whiteout (int from_fd, const char *name, unsigned char type, struct err *err)
{
  struct stat st;

  if (type != DT_CHR)
    return 0;
  if (fstatat (from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  return layer_is_whiteout (&st);
}

/* Moves the entry @name; a directory that both have is merged. */
static int merge_entry (int from_fd, const char *name, unsigned char type, int to_fd,
                        struct err *err)
{
  autoclose int child = -1;
  int opaque = open_child (from_fd, name, type, &child, err);
  int whiteout = is_whiteout (from_fd, name, type, err);

  if (opaque < 0 || whiteout < 0)
    return -err->code;
  if (whiteout)
    return fd_remove_tree (to_fd, name, err);
  if (opaque && layer_strip (-1, from_fd, name, /* keep_flags= */ false, err) < 0)
    return -err->code;
  if (fd_rename (from_fd, name, to_fd, name, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EEXIST)
    return err_errno (err, "move %s", name);
  autoclose int to_child = child >= 0 && !opaque ? fd_open_dir (to_fd, name) : -1;
  if (to_child >= 0)
    return merge_layer (child, to_child, err) < 0 ? err_wrap (err, "%s", name) : 0;
  /* It hides what the tree has there. */
  if (fd_remove_tree (to_fd, name, err) < 0)
    return err_wrap (err, "remove %s", name);
  if (fd_rename (from_fd, name, to_fd, name, RENAME_NOREPLACE) < 0)
    return err_errno (err, "move %s", name);
  return 0;
}

int merge_layer (int from_fd, int to_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct stat st;

  if (fstat (from_fd, &st) < 0)
    return err_errno (err, "stat a directory of the layer");
  if (dirread_all (from_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (merge_entry (from_fd, list.items[i].name, list.items[i].type, to_fd, err) < 0)
      return -err->code;
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (clone_directory_metadata (from_fd, to_fd, err) < 0)
    return -err->code;
  if (futimens (to_fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}
