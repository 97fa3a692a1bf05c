/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replacing names of a place, in its tree and its undo layers, also when we are killed in between:
 * the way of unify is taken for that (unify/groups.h), with the guest's txn/temp, or repair/ of a
 * generation, as the directory of links. The caller has the root lock exclusively.
 *
 * First a link for each inode that is to go (group_name), then the times of the directories that
 * will change (unify/dirtimes.h), then a syncfs; then fsck_change_replace and fsck_change_end. */
#ifndef VG_FSCK_CHANGE_H
#define VG_FSCK_CHANGE_H

#include "fsck/fsck.h"

struct fsck_change {
  const struct fsck_place *place; /* borrowed */
  int fd;                         /* owned: of the place */
  int tree_fd;                    /* owned */
  int temp_fd;                    /* owned: for the links */
  int lock_fd;                    /* owned: of a guest; -1 with a template */
};
#define FSCK_CHANGE_NONE ((struct fsck_change){NULL, -1, -1, -1, -1})

/* Returns 1; 0 when the place is in use and must not be changed. */
int fsck_change_open (struct fsck *fsck, size_t place, struct fsck_change *ret_change,
                      struct err *err);
void fsck_change_close (struct fsck_change *change);

/* Takes the lock of the guest @place, which is open in @change, into it. Returns 1; 0 when it is in
 * use, or was not closed behind a run. */
int fsck_change_lock (struct fsck *fsck, struct fsck_place *place, enum lock_mode mode,
                      struct fsck_change *change, struct err *err);
#define autofsckchange __attribute__ ((cleanup (fsck_change_close)))

/* Does a thin guest lie over the generation that is in use? None is started while we have the root
 * lock. */
bool fsck_base_in_use (const struct fsck *fsck, size_t template);

/* Takes all names to the links, and puts back the times of directories. */
int fsck_change_replace (struct fsck_change *change, struct err *err);

/* Removes the directory of links. */
int fsck_change_end (struct fsck_change *change, struct err *err);

#endif
