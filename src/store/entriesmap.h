/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which inodes entries have their contents from. */
#ifndef VG_STORE_ENTRIESMAP_H
#define VG_STORE_ENTRIESMAP_H

#include "store/store.h"
#include "util/metaentry.h"

struct entries_link {
  char place[METAENTRY_PLACE_SIZE];
  uint64_t ino;
  bool used; /* by an entry that was met */
};

struct entries_map {
  struct entries_link *links; /* owned: what store/data has; sorted by place */
  size_t count;
  struct u64table contents; /* owned: inode of an entry -> inode of its contents */
};
void entries_map_release (struct entries_map *map);
#define autoentriesmap __attribute__ ((cleanup (entries_map_release)))

/* Reads store/data and the entries of the store; where there is no store/data the map is empty, and
 * that costs one call. Else it costs a stat per object, and two attributes per entry. */
int entries_map_load (struct store *store, struct entries_map *ret_map, struct err *err);

/* Adds the file @name of @dir_fd, which may be an entry that is no object. Returns 1 when it is
 * one, and -EUCLEAN, with @err set, when its contents are not there; 0, or negative. */
int entries_map_add (struct entries_map *map, int dir_fd, const char *name, const struct stat *st,
                     struct err *err);

/* The inode that has the contents of the file @ino: itself when it is no entry. */
uint64_t entries_map_contents (const struct entries_map *map, uint64_t ino);

#endif
