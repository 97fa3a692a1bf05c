/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else has an inode of a guest's shared layers: other guests, by a name in their tree or by the
 * base that they lie over, and generations of templates. Names in the store, in undo layers and in
 * guests that were put aside are not holders. Entries (util/metaentry.h) that have their contents
 * from one inode are one with it.
 *
 * The cost is that of reading the directories of all trees once, however many inodes are asked for;
 * no stat, but for where there are entries: store/entriesmap.h. A thin guest counts
 * where it shows the inode of its base: what it hides costs only what it has of its own. */
#ifndef VG_VIEW_HOLDERS_H
#define VG_VIEW_HOLDERS_H

#include "guest/guest.h"
#include "store/entriesmap.h"

struct view_holders {
  struct entries_map map; /* owned */
  struct u64table index;  /* owned: inode number of contents -> index into items */
  struct view_holder {
    uint32_t guests;    /* other guests */
    uint32_t templates; /* generations */
    uint32_t mark;      /* of the place that is read */
  } * items;            /* owned */
  size_t count;
  uint32_t marks;
};
void view_holders_release (struct view_holders *holders);
#define autoviewholders __attribute__ ((cleanup (view_holders_release)))

/* Looks for entries; before anything is asked for. */
int view_holders_start (struct vroot *root, struct view_holders *holders, struct err *err);

/* Asks for @ino. */
void view_holders_want (struct view_holders *holders, uint64_t ino);

/* Counts for all that were asked for; the guest @name itself does not count. */
int view_holders_count (struct vroot *root, const char *name, struct view_holders *holders,
                        struct err *err);

/* What was counted for @ino, or NULL when it was not asked for. Borrowed. */
const struct view_holder *view_holders_find (const struct view_holders *holders, uint64_t ino);

#endif
