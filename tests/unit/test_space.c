/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "min_free" of vguest.conf. */
#include "test.h"
#include "guest/space.h"

static const uint64_t gib = UINT64_C (1) << 30;

static uint64_t reserve (const char *text, uint64_t total)
{
  autoerr struct err err = {0};
  uint64_t bytes = 1;

  assert_int_equal (space_parse_reserve (text, total, &bytes, &err), 0);
  return bytes;
}

static void default_is_five_percent_up_to_two_gib (void **state)
{
  (void) state;
  assert_int_equal (reserve (NULL, 10 * gib), gib / 2);
  assert_int_equal (reserve (NULL, 40 * gib), 2 * gib);
  assert_int_equal (reserve (NULL, 4000 * gib), 2 * gib);
  assert_int_equal (reserve (NULL, 0), 0);
}

static void shares_and_sizes (void **state)
{
  (void) state;
  assert_int_equal (reserve ("5%", 4000 * gib), 200 * gib);
  assert_int_equal (reserve ("0.5%", 400 * gib), 2 * gib);
  assert_int_equal (reserve ("0%", gib), 0);
  assert_int_equal (reserve ("0", gib), 0);
  assert_int_equal (reserve ("4096", gib), 4096);
  assert_int_equal (reserve ("3G", gib), 3 * gib);
}

static void nonsense (void **state)
{
  static const char *const words[] = {"", "%", "x", "-1%", "100%", "1.2.3%", "5 %", "5%%", "1Q"};

  (void) state;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    autoerr struct err err = {0};
    uint64_t bytes;

    assert_int_equal (space_parse_reserve (words[i], gib, &bytes, &err), -ERR_USAGE);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (default_is_five_percent_up_to_two_gib),
      cmocka_unit_test (shares_and_sizes),
      cmocka_unit_test (nonsense),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
