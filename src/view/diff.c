/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "diff.h"
#include "diff_compare.h"
#include "util/fd.h"
#include "util/strbuf.h"

enum { PATH_LENGTH_MAX = 16 << 20 };

struct diff {
  const struct view_dir *old_top, *new_top; /* borrowed */
  int (*visit) (void *data, const struct diff_change *change, struct err *err);
  void *data;
  struct strbuf path; /* owned */
};

static int report (struct diff *diff, unsigned what, const struct stat *old_st,
                   const struct stat *new_st, struct err *err)
{
  struct diff_change change = {.path = strbuf_str (&diff->path), .what = what};

  if (old_st)
    change.old_st = *old_st;
  if (new_st)
    change.new_st = *new_st;
  return diff->visit (diff->data, &change, err);
}

/* What went away while it was read is as if it had not been there. */
static int forgive (int ret, struct err *err)
{
  if (ret != -ENOENT)
    return ret;
  err_release (err);
  return 0;
}

static int whole (struct diff *diff, const struct view_dir *top, const struct view_dir *dir,
                  const struct view_entry *entry, unsigned what, struct err *err);

static int whole_dir (struct diff *diff, const struct view_dir *top, const struct view_dir *dir,
                      const struct view_entry *entry, unsigned what, struct err *err)
{
  autoviewdir struct view_dir child = VIEW_DIR_NONE;
  autoviewlist struct view_list list = {0};
  int ret = 0;

  if (view_child (top, dir, entry, &child, err) < 0 || view_read (&child, &list, err) < 0)
    return forgive (-err->code, err);
  for (size_t i = 0; ret == 0 && i < list.count; i++) {
    size_t len = strbuf_push_below (&diff->path, list.items[i].name);

    ret = whole (diff, top, &child, &list.items[i], what, err);
    strbuf_truncate (&diff->path, len);
  }
  return ret;
}

/* Only one side has it. */
static int whole (struct diff *diff, const struct view_dir *top, const struct view_dir *dir,
                  const struct view_entry *entry, unsigned what, struct err *err)
{
  struct stat st;

  if (fstatat (entry->dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", strbuf_str (&diff->path));
  int ret = what == DIFF_ADDED ? report (diff, what, NULL, &st, err)
                               : report (diff, what, &st, NULL, err);
  if (ret == 0 && entry->type == DT_DIR)
    ret = whole_dir (diff, top, dir, entry, what, err);
  return ret;
}

static int diff_dirs (struct diff *diff, const struct view_dir *old_dir,
                      const struct view_dir *new_dir, struct err *err);

static int enter_both (struct diff *diff, const struct diff_pair *pair, struct err *err)
{
  autoviewdir struct view_dir old_child = VIEW_DIR_NONE, new_child = VIEW_DIR_NONE;

  if (view_child (diff->old_top, pair->old_dir, pair->old_entry, &old_child, err) < 0 ||
      view_child (diff->new_top, pair->new_dir, pair->new_entry, &new_child, err) < 0)
    return forgive (-err->code, err);
  return diff_dirs (diff, &old_child, &new_child, err);
}

/* Both sides have it. */
static int both (struct diff *diff, const struct diff_pair *pair, struct err *err)
{
  struct stat old_st = {0}, new_st = {0};
  bool old_is_dir = pair->old_entry->type == DT_DIR, new_is_dir = pair->new_entry->type == DT_DIR;
  int what = diff_compare (pair, &old_st, &new_st, err);

  if (what < 0)
    return what == -ENOENT ? forgive (what, err) : err_wrap (err, "%s", strbuf_str (&diff->path));
  if (what && report (diff, (unsigned) what, &old_st, &new_st, err) < 0)
    return -err->code;
  if (old_is_dir && new_is_dir)
    return enter_both (diff, pair, err);
  if (old_is_dir)
    return whole_dir (diff, diff->old_top, pair->old_dir, pair->old_entry, DIFF_REMOVED, err);
  if (new_is_dir)
    return whole_dir (diff, diff->new_top, pair->new_dir, pair->new_entry, DIFF_ADDED, err);
  return 0;
}

/* Is only one directory of one layer there, and the same one on both sides? */
static bool same_dir (const struct view_dir *a, const struct view_dir *b)
{
  const struct view_dir *const dirs[] = {a, b};
  struct stat st[2];

  for (size_t i = 0; i < 2; i++) {
    if (dirs[i]->priv >= 0 || (dirs[i]->lower.tree >= 0 && dirs[i]->lower.base >= 0) ||
        fstat (view_dir_fd (dirs[i]), &st[i]) < 0)
      return false;
  }
  return st[0].st_ino == st[1].st_ino && st[0].st_dev == st[1].st_dev;
}

/* The name @entry, which only one of the two directories has. */
static int step_one (struct diff *diff, const struct view_dir *top, const struct view_dir *dir,
                     const struct view_entry *entry, unsigned what, struct err *err)
{
  size_t len = strbuf_push_below (&diff->path, entry->name);
  int ret = whole (diff, top, dir, entry, what, err);

  strbuf_truncate (&diff->path, len);
  return ret;
}

static int step_both (struct diff *diff, const struct diff_pair *pair, struct err *err)
{
  size_t len = strbuf_push_below (&diff->path, pair->old_entry->name);
  int ret = both (diff, pair, err);

  strbuf_truncate (&diff->path, len);
  return ret;
}

static int diff_dirs (struct diff *diff, const struct view_dir *old_dir,
                      const struct view_dir *new_dir, struct err *err)
{
  autoviewlist struct view_list old_list = {0}, new_list = {0};
  size_t i = 0, k = 0;
  int ret = 0;

  if (same_dir (old_dir, new_dir))
    return 0;
  if (view_read (old_dir, &old_list, err) < 0 || view_read (new_dir, &new_list, err) < 0)
    return -err->code;
  while (ret == 0 && (i < old_list.count || k < new_list.count)) {
    const struct view_entry *a = &old_list.items[i], *b = &new_list.items[k];
    int order = i == old_list.count ? 1 : k == new_list.count ? -1 : strcmp (a->name, b->name);

    if (order == 0) {
      const struct diff_pair pair = {diff->old_top, old_dir, a, diff->new_top, new_dir, b};

      ret = step_both (diff, &pair, err);
    } else if (order < 0) {
      ret = step_one (diff, diff->old_top, old_dir, a, DIFF_REMOVED, err);
    } else {
      ret = step_one (diff, diff->new_top, new_dir, b, DIFF_ADDED, err);
    }
    i += order <= 0;
    k += order >= 0;
  }
  return ret;
}

int diff_views (const struct view_dir *old_top, const struct view_dir *new_top,
                int (*visit) (void *data, const struct diff_change *change, struct err *err),
                void *data, struct err *err)
{
  struct diff diff = {.old_top = old_top,
                      .new_top = new_top,
                      .visit = visit,
                      .data = data,
                      .path = STRBUF_INIT (PATH_LENGTH_MAX)};
  int ret = diff_dirs (&diff, old_top, new_top, err);

  strbuf_release (&diff.path);
  return ret;
}
