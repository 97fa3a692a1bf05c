/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing one name of two views: a part of diff.h. */
#ifndef VG_VIEW_DIFF_COMPARE_H
#define VG_VIEW_DIFF_COMPARE_H

#include "view.h"

/* All is borrowed. */
struct diff_pair {
  const struct view_dir *old_top, *old_dir;
  const struct view_entry *old_entry;
  const struct view_dir *new_top, *new_dir;
  const struct view_entry *new_entry;
};

/* Compares both entries: the DIFF_* that differ, 0 when they are equal, or negative. The stats are
 * set when it is not 0. Directories are compared in their metadata alone. */
int diff_compare (const struct diff_pair *pair, struct stat *ret_old, struct stat *ret_new,
                  struct err *err);

#endif
