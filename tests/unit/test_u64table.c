/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/u64table.h"

static void an_empty_table_has_nothing (void **state)
{
  autou64table struct u64table table = {0};

  (void) state;
  assert_null (u64table_get (&table, 0));
  assert_null (u64table_get (&table, 1));
  assert_false (u64table_has (&table, 1));
}

static void zero_is_a_key (void **state)
{
  autou64table struct u64table table = {0};
  bool is_new = false;

  (void) state;
  *u64table_put (&table, 0, &is_new) = 7;
  assert_true (is_new);
  assert_int_equal (*u64table_get (&table, 0), 7);
  u64table_put (&table, 0, &is_new);
  assert_false (is_new);
  assert_null (u64table_get (&table, 1));
}

/* Neighbours, multiples of big powers of two, and scattered ones: what inode numbers and digests
 * look like. */
static uint64_t key_number (unsigned i)
{
  switch (i % 3) {
  case 0:
    return i + 1;
  case 1:
    return (uint64_t) i << 32;
  default:
    return (uint64_t) i * UINT64_C (0x9e3779b97f4a7c15);
  }
}

static void many_keys_keep_their_values (void **state)
{
  enum { COUNT = 100000 };
  autou64table struct u64table table = {0};

  (void) state;
  for (unsigned i = 0; i < COUNT; i++) {
    bool is_new = false;

    *u64table_put (&table, key_number (i), &is_new) = i;
    assert_true (is_new);
  }
  assert_int_equal (table.count, COUNT);
  assert_true (table.count <= table.size / 4 * 3);
  for (unsigned i = 0; i < COUNT; i++)
    assert_int_equal (*u64table_get (&table, key_number (i)), i);
  assert_false (u64table_has (&table, UINT64_MAX));
}

static void a_new_value_starts_at_zero (void **state)
{
  autou64table struct u64table table = {0};

  (void) state;
  for (uint64_t key = 1; key < 1000; key++) {
    uint64_t *value = u64table_put (&table, key, NULL);

    assert_int_equal (*value, 0);
    *value = key;
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_empty_table_has_nothing),
      cmocka_unit_test (zero_is_a_key),
      cmocka_unit_test (many_keys_keep_their_values),
      cmocka_unit_test (a_new_value_starts_at_zero),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
