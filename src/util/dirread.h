/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a directory by getdents64: names, types and inode numbers, no stat per entry.
 *
 * "." and ".." are skipped. Some file systems give DT_UNKNOWN; dirread_next then asks with one
 * fstatat, so callers always see the true type. The names are valid until the next dirread_next;
 * a caller that changes the directory while it reads may see an entry twice or not at all, as the
 * kernel promises no more: collect first with dirread_all when that matters. */
#ifndef VG_UTIL_DIRREAD_H
#define VG_UTIL_DIRREAD_H

#include "cleanup.h"
#include <stdbool.h>
#include <stdint.h>

struct dirread {
  int fd;       /* borrowed; its offset is moved */
  char *buffer; /* owned */
  size_t used;
  size_t at;
};

struct dirread_entry {
  uint64_t ino;
  unsigned char type; /* DT_REG, DT_DIR, DT_LNK, … */
  const char *name;   /* borrowed from the dirread, or owned by the dirlist */
};

#define autodirread __attribute__ ((cleanup (dirread_release)))

/* Starts at the first entry of the directory open at @fd. */
void dirread_start (int fd, struct dirread *ret_dirread);

/* The next entry. Returns 1, 0 at the end, negative on errors. */
int dirread_next (struct dirread *dirread, struct dirread_entry *ret_entry, struct err *err);

/* Is the next entry in memory? Then the names of earlier ones stay valid behind the next
 * dirread_next. */
bool dirread_buffered (struct dirread *dirread);

void dirread_release (struct dirread *dirread);

/* All entries of a directory at once, sorted by name. */
struct dirlist {
  struct dirread_entry *items; /* owned */
  size_t count;
  char *names; /* owned; what items[].name points into */
};

#define autodirlist __attribute__ ((cleanup (dirlist_release)))

int dirread_all (int fd, struct dirlist *ret_list, struct err *err);
void dirlist_release (struct dirlist *list);

/* The entry called @name, or NULL. */
const struct dirread_entry *dirlist_find (const struct dirlist *list, const char *name);

#endif
