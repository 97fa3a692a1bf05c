/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which objects of the store inodes are. */
#ifndef VG_STORE_OBJECTNAMES_H
#define VG_STORE_OBJECTNAMES_H

#include "store/store.h"

struct object_name {
  struct digest id;
  unsigned slot;
};

struct object_names {
  struct u64table index;     /* owned: inode number -> index into items */
  struct object_name *items; /* owned */
  size_t count;
};
void object_names_release (struct object_names *objects);
#define autoobjectnames __attribute__ ((cleanup (object_names_release)))

/* Reads the directories of the store, no stat, until the inodes @wanted are found. */
int object_names_load (struct store *store, const struct u64table *wanted,
                       struct object_names *ret_objects, struct err *err);

/* The object that has the inode @ino, or NULL. Borrowed. */
const struct object_name *object_names_find (const struct object_names *objects, uint64_t ino);

#endif
