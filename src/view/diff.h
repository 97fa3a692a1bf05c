/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What differs between what two trees show. Names on the same inode, and directories that are the
 * very same, are equal unread; else type, metadata, size and at last contents are compared. A
 * directory's times say only that something in it changed, and are not compared. */
#ifndef VG_VIEW_DIFF_H
#define VG_VIEW_DIFF_H

#include "view.h"

enum {
  DIFF_ADDED = 1,
  DIFF_REMOVED = 2,
  DIFF_TYPE = 4,
  DIFF_CONTENTS = 8, /* of a file; the target of a link; the number of a device */
  DIFF_MODE = 16,
  DIFF_OWNER = 32,
  DIFF_TIME = 64, /* mtime */
  DIFF_XATTRS = 128,
};

struct diff_change {
  const char *path; /* borrowed; "/usr/bin/perl" */
  unsigned what;    /* DIFF_ADDED alone, DIFF_REMOVED alone, or the others */
  struct stat old_st;
  struct stat new_st; /* all 0 where there is none */
};

/* Calls @visit for each path that differs, in the order of a walk; what a directory that was added
 * or removed has in it follows it. Negative ends the walk, and is passed on. */
int diff_views (const struct view_dir *old_top, const struct view_dir *new_top,
                int (*visit) (void *data, const struct diff_change *change, struct err *err),
                void *data, struct err *err);

#endif
