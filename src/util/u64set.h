/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of 64-bit keys that come in runs, such as inode numbers: 16 neighbours share one slot of 8
 * bytes, which has their common high bits and a bit for each. So a key that has no neighbours takes
 * 11 to 14 bytes, 25 while the table grows; one of a run, as files that were made one after the
 * other are, takes one or two. Nothing jumps: a table grows by a quarter. */
#ifndef VG_UTIL_U64SET_H
#define VG_UTIL_U64SET_H

#include "u64table.h"

struct u64set {
  uint64_t *slots; /* owned; 0: empty */
  size_t size;
  size_t used;          /* slots that are not empty; at most three quarters */
  size_t count;         /* keys */
  struct u64table wide; /* owned: keys that are too large for a slot, from 2^52 on */
};

#define autou64set __attribute__ ((cleanup (u64set_release)))

void u64set_release (struct u64set *set);

bool u64set_has (const struct u64set *set, uint64_t key);

/* Adds @key. False: it was there. */
bool u64set_add (struct u64set *set, uint64_t key);

#endif
