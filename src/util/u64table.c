/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "u64table.h"

void u64table_release (struct u64table *table)
{
  int saved = errno;

  free (table->slots);
  *table = (struct u64table){0};
  errno = saved;
}

static uint64_t mix (uint64_t key)
{
  key ^= key >> 32;
  key *= UINT64_C (0x9e3779b97f4a7c15);
  return key ^ (key >> 29);
}

static struct u64table_slot *find (const struct u64table *table, uint64_t key)
{
  size_t mask = table->size - 1;
  size_t at = mix (key) & mask;

  while (table->slots[at].key && table->slots[at].key != key)
    at = (at + 1) & mask;
  return &table->slots[at];
}

static void grow (struct u64table *table)
{
  struct u64table old = *table;

  table->size = old.size ? old.size * 2 : 64;
  table->slots = xcalloc (table->size, sizeof *table->slots);
  for (size_t i = 0; i < old.size; i++)
    if (old.slots[i].key)
      *find (table, old.slots[i].key) = old.slots[i];
  free (old.slots);
}

uint64_t *u64table_get (const struct u64table *table, uint64_t key)
{
  if (!key)
    return table->has_zero ? (uint64_t *) &table->zero_value : NULL;
  if (!table->size)
    return NULL;
  struct u64table_slot *slot = find (table, key);
  return slot->key ? &slot->value : NULL;
}

bool u64table_has (const struct u64table *table, uint64_t key)
{
  return u64table_get (table, key) != NULL;
}

uint64_t *u64table_put (struct u64table *table, uint64_t key, bool *ret_new)
{
  bool is_new = false;
  uint64_t *value;

  if (!key) {
    is_new = !table->has_zero;
    table->has_zero = true;
    value = &table->zero_value;
  } else {
    if (table->count + 1 > table->size / 4 * 3)
      grow (table);
    struct u64table_slot *slot = find (table, key);
    is_new = !slot->key;
    if (is_new) {
      slot->key = key;
      table->count++;
    }
    value = &slot->value;
  }
  if (ret_new)
    *ret_new = is_new;
  return value;
}
