/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies of files whose hard-link partners are to be partners again. */
#ifndef VG_TREE_COPIES_H
#define VG_TREE_COPIES_H

#include "util/cleanup.h"
#include "util/u64table.h"
#include <sys/stat.h>

struct copies {
  int fd; /* borrowed: an empty directory, which gets a link to each copy that may have
             more than one name; the caller removes it */
  struct u64table names; /* owned: inode that was copied -> how often copies_put was called */
};

void copies_release (struct copies *copies);

/* Makes @to_dir/@to, a copy of @from_dir/@from, whose stat is @st: with all metadata, protection
 * flags included (layer.h). Further names of an inode become links to its first copy. */
int copies_put (struct copies *copies, int from_dir, const char *from, const struct stat *st,
                int to_dir, const char *to, struct err *err);

/* Makes @to_dir/@to a link to the copy of the inode @ino, of which one with several names was made
 * before. */
int copies_link (struct copies *copies, uint64_t ino, int to_dir, const char *to, struct err *err);

#endif
