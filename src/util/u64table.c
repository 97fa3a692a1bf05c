/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "u64table.h"

void u64table_release (struct u64table *table)
{
  int saved = errno;

  free (table->keys);
  free (table->values);
  *table = (struct u64table){0};
  errno = saved;
}

static uint64_t mix (uint64_t key)
{
  key ^= key >> 32;
  key *= UINT64_C (0x9e3779b97f4a7c15);
  return key ^ (key >> 29);
}

/* The slot that has @key, or the empty one that is for it. */
static size_t find (const struct u64table *table, uint64_t key)
{
  size_t mask = table->size - 1;
  size_t at = mix (key) & mask;

  while (table->keys[at] && table->keys[at] != key)
    at = (at + 1) & mask;
  return at;
}

static void grow (struct u64table *table)
{
  struct u64table old = *table;

  table->size = old.size ? old.size * 2 : 64;
  table->keys = xcalloc (table->size, sizeof *table->keys);
  if (old.values)
    table->values = xcalloc (table->size, sizeof *table->values);
  for (size_t i = 0; i < old.size; i++) {
    if (!old.keys[i])
      continue;
    size_t at = find (table, old.keys[i]);
    table->keys[at] = old.keys[i];
    if (old.values)
      table->values[at] = old.values[i];
  }
  free (old.keys);
  free (old.values);
}

/* The slot of @key, which is not 0. */
static size_t place (struct u64table *table, uint64_t key, bool *ret_new)
{
  if (table->count + 1 > table->size / 4 * 3)
    grow (table);
  size_t at = find (table, key);
  *ret_new = !table->keys[at];
  if (*ret_new) {
    table->keys[at] = key;
    table->count++;
  }
  return at;
}

static uint64_t *value_at (struct u64table *table, size_t at)
{
  if (!table->values)
    table->values = xcalloc (table->size, sizeof *table->values);
  return &table->values[at];
}

uint64_t *u64table_get (const struct u64table *table, uint64_t key)
{
  if (!key)
    return table->has_zero ? (uint64_t *) &table->zero_value : NULL;
  if (!table->size)
    return NULL;
  size_t at = find (table, key);
  return table->keys[at] ? value_at ((struct u64table *) table, at) : NULL;
}

bool u64table_has (const struct u64table *table, uint64_t key)
{
  if (!key)
    return table->has_zero;
  return table->size && table->keys[find (table, key)];
}

uint64_t *u64table_put (struct u64table *table, uint64_t key, bool *ret_new)
{
  bool is_new = !table->has_zero;
  uint64_t *value = &table->zero_value;

  if (!key) {
    table->has_zero = true;
  } else {
    size_t at = place (table, key, &is_new);

    value = value_at (table, at);
  }
  if (ret_new)
    *ret_new = is_new;
  return value;
}

bool u64table_add (struct u64table *table, uint64_t key)
{
  bool is_new = !table->has_zero;

  if (!key)
    table->has_zero = true;
  else
    place (table, key, &is_new);
  return is_new;
}
