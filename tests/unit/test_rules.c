/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/rules.h"

static void add (struct rules *rules, const char *pattern, unsigned mask, unsigned value)
{
  autoerr struct err err = {0};

  assert_int_equal (rules_add (rules, pattern, mask, value, &err), 0);
}

static void an_anchored_rule_covers_what_is_below (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "/var/log", 1, 1);
  assert_int_equal (rules_verdict (&rules, 0, "/var"), 0);
  assert_int_equal (rules_verdict (&rules, 0, "/var/log"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/var/log/a/b"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/var/logs"), 0);
  assert_int_equal (rules_verdict (&rules, 0, "/usr/var/log"), 0);
}

static void a_floating_rule_matches_at_any_depth (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "*.pyc", 1, 1);
  assert_int_equal (rules_verdict (&rules, 0, "/x.pyc"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/usr/lib/x.pyc"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/usr/lib/x.py"), 0);
  assert_int_equal (rules_verdict (&rules, 0, "/usr/d.pyc/file"), 1);
}

static void wildcards_stay_within_a_component (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "/a/*/c", 1, 1);
  add (&rules, "/h/*", 2, 2);
  assert_int_equal (rules_verdict (&rules, 0, "/a/b/c"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/a/b/b/c"), 0);
  assert_int_equal (rules_verdict (&rules, 0, "/h/.hidden"), 2);
}

static void the_deeper_match_wins_then_the_later (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "/a/b", 3, 2);
  add (&rules, "/a", 3, 1);
  assert_int_equal (rules_verdict (&rules, 0, "/a"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/a/b"), 2);
  assert_int_equal (rules_verdict (&rules, 0, "/a/c"), 1);
  add (&rules, "/a/b", 3, 3);
  assert_int_equal (rules_verdict (&rules, 0, "/a/b/x"), 3);
}

static void only_the_bits_of_the_mask_change (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "/a", 4, 4);
  add (&rules, "/a/b", 3, 2);
  assert_int_equal (rules_verdict (&rules, 1, "/a"), 5);
  assert_int_equal (rules_verdict (&rules, 1, "/a/b"), 6);
}

static void the_root_can_be_named (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "/", 1, 1);
  assert_int_equal (rules_verdict (&rules, 0, "/"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/x/y"), 1);
}

static void bad_patterns_are_refused (void **state)
{
  static const char *const bad[] = {"", "/a/../b", "/a//b", "/./a", "..", "a/b"};
  autorules struct rules rules = {0};
  autoerr struct err err = {0};

  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (rules_add (&rules, bad[i], 1, 1, &err), -ERR_USAGE);
  assert_int_equal (rules.count, 0);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_anchored_rule_covers_what_is_below),
      cmocka_unit_test (a_floating_rule_matches_at_any_depth),
      cmocka_unit_test (wildcards_stay_within_a_component),
      cmocka_unit_test (the_deeper_match_wins_then_the_later),
      cmocka_unit_test (only_the_bits_of_the_mask_change),
      cmocka_unit_test (the_root_can_be_named),
      cmocka_unit_test (bad_patterns_are_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
