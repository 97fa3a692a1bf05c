/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replacing a name changes the mtime of its directory, which a guest can see. So the times of the
 * directories that a pass will change are written down, durably and before the first change, and
 * put back at its end or by recovery. The file is a journal (tree/journal.h) of M steps. */
#ifndef VG_UNIFY_DIRTIMES_H
#define VG_UNIFY_DIRTIMES_H

#include "tree/journal.h"

struct dirtimes {
  struct journal_writer journal; /* owned */
};

void dirtimes_start (struct dirtimes *times);
void dirtimes_release (struct dirtimes *times);
#define autodirtimes __attribute__ ((cleanup (dirtimes_release)))

/* Notes the directory open at @fd, which is @path in the tree. */
int dirtimes_note (struct dirtimes *times, int fd, const char *path, struct err *err);

/* Writes what was noted into @temp_fd. */
int dirtimes_write (struct dirtimes *times, int temp_fd, struct err *err);

/* Puts back what @temp_fd says, and removes the file. No file is no error. */
int dirtimes_restore (int tree_fd, int temp_fd, struct err *err);

/* Removes the file: all is put back already. */
int dirtimes_drop (int temp_fd, struct err *err);

/* Sets the mtime of the directory open at @fd, unless it has it. */
int dirtimes_set (int fd, struct timespec mtime, struct err *err);

#endif
