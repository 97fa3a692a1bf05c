/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hash table from 64-bit keys to 64-bit values: open addressing, 16 bytes a slot, at most
 * three quarters full. Key 0 is allowed. Serves as the set of inode numbers as well. */
#ifndef VG_UTIL_U64TABLE_H
#define VG_UTIL_U64TABLE_H

#include "cleanup.h"
#include <stdbool.h>
#include <stdint.h>

struct u64table_slot {
  uint64_t key;
  uint64_t value;
};

struct u64table {
  struct u64table_slot *slots; /* owned; key 0 marks an empty slot */
  size_t size;                 /* a power of two, or 0 */
  size_t count;
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

#endif
