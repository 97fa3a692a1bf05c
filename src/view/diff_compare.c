/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "diff_compare.h"
#include "diff.h"
#include "util/metaentry.h"
#include "util/fd.h"
#include "util/xattr.h"

enum { PIECE = 64 << 10, TARGET_MAX = 4096 };

static unsigned compare_stats (const struct stat *a, const struct stat *b)
{
  unsigned what = 0;

  if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
    return DIFF_TYPE;
  if (a->st_mode != b->st_mode)
    what |= DIFF_MODE;
  if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
    what |= DIFF_OWNER;
  if (!S_ISDIR (a->st_mode) &&
      (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec))
    what |= DIFF_TIME;
  if ((S_ISCHR (a->st_mode) || S_ISBLK (a->st_mode)) && a->st_rdev != b->st_rdev)
    what |= DIFF_CONTENTS;
  return what;
}

static int compare_xattrs (const struct diff_pair *pair, struct err *err)
{
  autoxattrs struct xattrs a = {0}, b = {0};

  if (xattrs_read (-1, pair->old_entry->dir_fd, pair->old_entry->name, false, &a, err) < 0 ||
      xattrs_read (-1, pair->new_entry->dir_fd, pair->new_entry->name, false, &b, err) < 0)
    return -err->code;
  return xattrs_equal (&a, &b) ? 0 : DIFF_XATTRS;
}

static int compare_targets (const struct diff_pair *pair, struct err *err)
{
  char a[TARGET_MAX], b[TARGET_MAX];
  ssize_t a_len = readlinkat (pair->old_entry->dir_fd, pair->old_entry->name, a, sizeof a);
  ssize_t b_len = readlinkat (pair->new_entry->dir_fd, pair->new_entry->name, b, sizeof b);

  if (a_len < 0 || b_len < 0)
    return err_errno (err, "read the symbolic link");
  return a_len == b_len && memcmp (a, b, (size_t) a_len) == 0 ? 0 : DIFF_CONTENTS;
}

static int compare_files (int a_fd, int b_fd, struct err *err)
{
  autofree char *a = xmalloc (PIECE), *b = xmalloc (PIECE);

  for (;;) {
    ssize_t a_len = fd_read_full (a_fd, a, PIECE), b_len = fd_read_full (b_fd, b, PIECE);

    if (a_len < 0 || b_len < 0)
      return err_errno (err, "read a file to compare");
    if (a_len != b_len || memcmp (a, b, (size_t) a_len) != 0)
      return DIFF_CONTENTS;
    if (a_len < PIECE)
      return 0;
  }
}

static int open_file (const struct view_data *data, struct stat *ret_st, struct err *err)
{
  autoclose int fd = fd_open (data->dir_fd, data->name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);

  if (fd < 0 || fstat (fd, ret_st) < 0 || metaentry_follow (&fd, ret_st) < 0 ||
      fstat (fd, ret_st) < 0)
    return err_errno (err, "open the file to compare");
  if (!S_ISREG (ret_st->st_mode))
    return err_code (err, ENOENT, "the file was replaced");
  return steal_fd (&fd);
}

static int compare_contents (const struct diff_pair *pair, struct err *err)
{
  autoviewdata struct view_data old_data = {VIEW_PRIVATE, -1, NULL, VIEW_DIR_NONE};
  autoviewdata struct view_data new_data = {VIEW_PRIVATE, -1, NULL, VIEW_DIR_NONE};
  struct stat old_st, new_st;

  if (view_find_data (pair->old_top, pair->old_dir, pair->old_entry, &old_data, err) < 0 ||
      view_find_data (pair->new_top, pair->new_dir, pair->new_entry, &new_data, err) < 0)
    return -err->code;
  autoclose int old_fd = open_file (&old_data, &old_st, err);
  autoclose int new_fd = old_fd < 0 ? -1 : open_file (&new_data, &new_st, err);
  if (old_fd < 0 || new_fd < 0)
    return -err->code;
  if (old_st.st_ino == new_st.st_ino && old_st.st_dev == new_st.st_dev)
    return 0;
  return compare_files (old_fd, new_fd, err);
}

static bool same_inode (const struct view_entry *a, const struct view_entry *b)
{
  return a->type == b->type && a->ino == b->ino && a->type != DT_DIR;
}

int diff_compare (const struct diff_pair *pair, struct stat *ret_old, struct stat *ret_new,
                  struct err *err)
{
  const struct view_entry *a = pair->old_entry, *b = pair->new_entry;

  if (same_inode (a, b))
    return 0;
  if (fstatat (a->dir_fd, a->name, ret_old, AT_SYMLINK_NOFOLLOW) < 0 ||
      fstatat (b->dir_fd, b->name, ret_new, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat a file to compare");
  unsigned what = compare_stats (ret_old, ret_new);
  if (what & DIFF_TYPE)
    return (int) what;
  int more = compare_xattrs (pair, err);
  if (more < 0)
    return more;
  what |= (unsigned) more;
  more = 0;
  if (S_ISLNK (ret_old->st_mode))
    more = compare_targets (pair, err);
  else if (S_ISREG (ret_old->st_mode) && ret_old->st_size != ret_new->st_size)
    more = DIFF_CONTENTS;
  else if (S_ISREG (ret_old->st_mode))
    more = compare_contents (pair, err);
  return more < 0 ? more : (int) (what | (unsigned) more);
}
