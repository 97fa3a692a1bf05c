/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/u64set.h"

static void an_empty_set_has_nothing (void **state)
{
  autou64set struct u64set set = {0};

  (void) state;
  assert_false (u64set_has (&set, 0));
  assert_false (u64set_has (&set, 1));
  assert_false (u64set_has (&set, UINT64_MAX));
  assert_int_equal (set.count, 0);
}

/* Both ends of a slot, of what fits into one, and of all keys. */
static void the_ends_are_keys (void **state)
{
  static const uint64_t keys[] = {
      0,
      1,
      15,
      16,
      17,
      UINT32_MAX,
      (UINT64_C (1) << 48) - 1,
      UINT64_C (1) << 48,
      (UINT64_C (1) << 52) - 1,
      UINT64_C (1) << 52,
      UINT64_MAX - 1,
      UINT64_MAX,
  };
  enum { COUNT = sizeof keys / sizeof *keys };
  autou64set struct u64set set = {0};

  (void) state;
  for (size_t i = 0; i < COUNT; i++) {
    for (size_t j = i; j < COUNT; j++)
      assert_false (u64set_has (&set, keys[j]));
    assert_true (u64set_add (&set, keys[i]));
    assert_false (u64set_add (&set, keys[i]));
    assert_true (u64set_has (&set, keys[i]));
    assert_int_equal (set.count, i + 1);
  }
  assert_false (u64set_has (&set, 2));
  assert_false (u64set_has (&set, (UINT64_C (1) << 52) - 2));
}

/* Runs, single ones, multiples of big powers of two, and scattered ones. */
static uint64_t key_number (unsigned i)
{
  switch (i % 4) {
  case 0:
    return i / 4;
  case 1:
    return (UINT64_C (1) << 33) + (uint64_t) i * 16;
  case 2:
    return (uint64_t) i << 32;
  default:
    return (uint64_t) i * UINT64_C (0x9e3779b97f4a7c15) | 1;
  }
}

static void many_keys_are_found_again (void **state)
{
  enum { COUNT = 200000 };
  autou64set struct u64set set = {0};

  (void) state;
  for (unsigned i = 0; i < COUNT; i++)
    assert_true (u64set_add (&set, key_number (i)));
  assert_int_equal (set.count, COUNT);
  for (unsigned i = 0; i < COUNT; i++) {
    assert_true (u64set_has (&set, key_number (i)));
    assert_false (u64set_add (&set, key_number (i)));
  }
  assert_false (u64set_has (&set, COUNT / 4));
  assert_false (u64set_has (&set, (UINT64_C (1) << 33) + 1));
}

/* Bytes for each key, at the worst size of the set. @both: while it grows there are two tables. */
static double worst_bytes (uint64_t stride, bool both)
{
  enum { FIRST = 1000, LAST = 300000 };
  autou64set struct u64set set = {0};
  double worst = 0;

  for (uint64_t i = 1; i <= LAST; i++) {
    size_t old = set.size;

    u64set_add (&set, (i * stride) + (UINT64_C (1) << 21));
    size_t slots = set.size + (both && set.size != old ? old : 0);
    double bytes = (double) (slots * sizeof *set.slots) / (double) i;
    worst = i >= FIRST && bytes > worst ? bytes : worst;
  }
  return worst;
}

/* Three such sets have every file of a first pass, which may take 64 bytes a file. */
static void memory_of_a_key_is_bounded (void **state)
{
  (void) state;
  assert_true (worst_bytes (1, /* both= */ true) < 2);
  assert_true (worst_bytes (2, /* both= */ true) < 4);
  assert_true (worst_bytes (16, /* both= */ false) < 14);
  assert_true (worst_bytes (16, /* both= */ true) < 25);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_empty_set_has_nothing),
      cmocka_unit_test (the_ends_are_keys),
      cmocka_unit_test (many_keys_are_found_again),
      cmocka_unit_test (memory_of_a_key_is_bounded),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
