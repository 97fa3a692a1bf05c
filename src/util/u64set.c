/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "u64set.h"

enum {
  RUN_BITS = 4, /* of a key: which bit of its slot */
  MASK_BITS = 1 << RUN_BITS,
  SIZE_MIN = 64,
};

static const uint64_t mask_all = (UINT64_C (1) << MASK_BITS) - 1;

void u64set_release (struct u64set *set)
{
  int saved = errno;

  free (set->slots);
  u64table_release (&set->wide);
  *set = (struct u64set){0};
  errno = saved;
}

static bool is_wide (uint64_t key)
{
  return key >> (64 - MASK_BITS + RUN_BITS);
}

/* What a slot has above its bits. */
static uint64_t high_of (uint64_t key)
{
  return key >> RUN_BITS << MASK_BITS;
}

static uint64_t bit_of (uint64_t key)
{
  return UINT64_C (1) << (key & (MASK_BITS - 1));
}

/* The slot that has @high, or the empty one that is for it. */
static size_t find (const struct u64set *set, uint64_t high)
{
  uint64_t hash = (high >> MASK_BITS) * UINT64_C (0x9e3779b97f4a7c15) >> 32;
  size_t at = (size_t) (hash * set->size >> 32);

  while (set->slots[at] && (set->slots[at] & ~mask_all) != high)
    at = at + 1 < set->size ? at + 1 : 0;
  return at;
}

static void grow (struct u64set *set)
{
  uint64_t *old = set->slots;
  size_t old_size = set->size;

  set->size = old_size < SIZE_MIN ? SIZE_MIN : old_size + old_size / 4;
  /* The hash has 32 bits. */
  if (set->size > UINT32_MAX)
    err_out_of_memory ();
  set->slots = xcalloc (set->size, sizeof *set->slots);
  for (size_t i = 0; i < old_size; i++)
    if (old[i])
      set->slots[find (set, old[i] & ~mask_all)] = old[i];
  free (old);
}

bool u64set_has (const struct u64set *set, uint64_t key)
{
  if (is_wide (key))
    return u64table_has (&set->wide, key);
  return set->size && set->slots[find (set, high_of (key))] & bit_of (key);
}

bool u64set_add (struct u64set *set, uint64_t key)
{
  bool is_new;

  if (is_wide (key)) {
    is_new = u64table_add (&set->wide, key);
  } else {
    if (set->used + 1 > set->size / 4 * 3)
      grow (set);
    uint64_t *slot = &set->slots[find (set, high_of (key))];

    is_new = !(*slot & bit_of (key));
    set->used += *slot == 0;
    *slot |= high_of (key) | bit_of (key);
  }
  set->count += is_new;
  return is_new;
}
