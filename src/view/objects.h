/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which objects of the store inodes are. */
#ifndef VG_VIEW_OBJECTS_H
#define VG_VIEW_OBJECTS_H

#include "store/store.h"

struct view_object {
  struct digest id;
  unsigned slot;
};

struct view_objects {
  struct u64table index;     /* owned: inode number -> index into items */
  struct view_object *items; /* owned */
  size_t count;
};
void view_objects_release (struct view_objects *objects);
#define autoviewobjects __attribute__ ((cleanup (view_objects_release)))

/* Reads the directories of the store, no stat, until the inodes @wanted are found. */
int view_objects_load (struct store *store, const struct u64table *wanted,
                       struct view_objects *ret_objects, struct err *err);

/* The object that has the inode @ino, or NULL. Borrowed. */
const struct view_object *view_objects_find (const struct view_objects *objects, uint64_t ino);

#endif
