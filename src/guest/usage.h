/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests take on the disk, exact in blocks, each inode counted once: what `du -s -B1` says of
 * guests/NAME, when it is no thin guest, is shared_bytes + own_bytes.
 *
 * An inode is shared when another guest, a template, or a guest that was put aside has a name for
 * it: when it has more links than names in this guest, and one more for the store. What a thin
 * guest shows of its base is the template's, and so shared. Objects are stat-ed once, by way of the
 * store; trees cost their directories only. No locks are taken: figures of a guest that changes
 * meanwhile are those of some moment in between. */
#ifndef VG_GUEST_USAGE_H
#define VG_GUEST_USAGE_H

#include "guest/guest.h"

struct usage {
  uint64_t apparent_bytes; /* sizes of the regular files that the guest sees, each inode once */
  uint64_t shared_bytes;
  uint64_t own_bytes;
  uint64_t store_own_bytes;   /* the part of own_bytes that is in the store: freed by gc */
  uint64_t store_own_objects; /* and their number */
  uint64_t files;             /* names that the guest sees and that are not directories */
  /* What the guest would take beside that if it wrote to each file of its tree, or of its base,
   * that it sees. */
  uint64_t worst_bytes;
  uint64_t worst_files;
};

/* What is known about inodes; grows as guests are scanned. */
struct usage_map {
  struct u64table index;      /* owned: inode number -> index into inodes */
  struct usage_inode *inodes; /* owned; each once, of all guests scanned so far */
  size_t count;
  uint64_t store_objects;
  uint64_t store_bytes;
  uint64_t guests_bytes; /* sum over the scanned guests */
  uint64_t union_bytes;  /* of all scanned guests together */
};

void usage_map_release (struct usage_map *map);
#define autousagemap __attribute__ ((cleanup (usage_map_release)))

/* Starts with the objects of the store. */
int usage_map_load (struct vroot *root, struct usage_map *ret_map, struct err *err);

/* Scans the guests whose directories are open at @fds as if they were one: what is shared by them
 * alone counts as their own. What goes away meanwhile is passed over. */
int usage_scan (struct usage_map *map, const int *fds, size_t count, struct usage *ret_usage,
                struct err *err);

#endif
