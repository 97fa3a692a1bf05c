/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hash table from 64-bit keys to 64-bit values, or a set of 64-bit keys, such as inode numbers:
 * open addressing, at most three quarters full. 16 bytes a slot; 8 as long as only u64table_add is
 * used. Key 0 is allowed. */
#ifndef VG_UTIL_U64TABLE_H
#define VG_UTIL_U64TABLE_H

#include "cleanup.h"
#include <stdbool.h>
#include <stdint.h>

struct u64table {
  uint64_t *keys;   /* owned; 0 marks an empty slot */
  uint64_t *values; /* owned; NULL while the table is a set */
  size_t size;      /* a power of two, or 0 */
  size_t count;     /* without key 0 */
  bool has_zero;
  uint64_t zero_value;
};

#define autou64table __attribute__ ((cleanup (u64table_release)))

void u64table_release (struct u64table *table);

/* The place of @key's value, or NULL. Valid until the next u64table_put. */
uint64_t *u64table_get (const struct u64table *table, uint64_t key);
bool u64table_has (const struct u64table *table, uint64_t key);

/* The place of @key's value, made with value 0 when it is missing; @ret_new may be NULL. */
uint64_t *u64table_put (struct u64table *table, uint64_t key, bool *ret_new);

/* Adds @key, with value 0. False: it was there. */
bool u64table_add (struct u64table *table, uint64_t key);

#endif
