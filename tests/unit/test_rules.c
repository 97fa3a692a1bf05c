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

static void two_stars_cross_components (void **state)
{
  static const struct {
    const char *pattern;
    const char *path;
    bool matches;
  } cases[] = {
      {"/a/**/z", "/a/z", true},
      {"/a/**/z", "/a/b/c/z", true},
      {"/a/**/z", "/a/b/c/z/below", true},
      {"/a/**/z", "/b/a/z", false},
      {"/a/**/z", "/a/b/zz", false},
      {"/a/*/z", "/a/b/c/z", false},
      {"/a/**", "/a", false},
      {"/a/**", "/a/b", true},
      {"/a/**", "/a/b/c", true},
      {"**/b/c", "/x/y/b/c", true},
      {"b/c", "/b/c", true},
      {"b/c", "/x/y/b/c", true},
      {"b/c", "/b/x/c", false},
      {"/a**z", "/abz", true},
      {"/a**z", "/ab/c/dz", true},
      {"/a**z", "/ab/c/d", false},
      {"/a/**.pyc", "/a/b/c.pyc", true},
      {"/a/**.pyc", "/a/c.pyc", true},
      {"/a/b**", "/a/bc/d", true},
      {"/a/b**/z", "/a/bc/d/z", true},
      {"/a/\\**", "/a/*b", true},
      {"/a/\\**", "/a/b", false},
      {"/a/[**]", "/a/*", true},
      {"/a/[**]", "/a/b", false},
      {"/a/**/b/**/c", "/a/x/b/b/y/c", true},
      {"/a/**/b/**/c", "/a/x/y/c", false},
      {"**", "/a/b", true},
      {"/**", "/a", true},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autorules struct rules rules = {0};
    size_t depth;
    bool alone = false;

    add (&rules, cases[i].pattern, 1, 1);
    if ((rules_verdict (&rules, 0, cases[i].path) == 1) != cases[i].matches)
      fail_msg ("%s: %s", cases[i].pattern, cases[i].path);
    for (size_t k = 0; k < rules.count; k++)
      alone |= rule_matches (&rules.items[k], cases[i].path, &depth);
    if (alone != cases[i].matches)
      fail_msg ("%s alone: %s", cases[i].pattern, cases[i].path);
  }
}

static void add_first (struct rules *rules, const char *pattern, unsigned value, uint64_t size_min)
{
  autoerr struct err err = {0};
  struct rule_condition condition = RULE_CONDITION_NONE;

  condition.size_min = size_min;
  assert_int_equal (
      rules_add_first (rules, pattern, 0, 3, 3, value, size_min ? &condition : NULL, &err), 0);
}

static unsigned settled (const struct rules *rules, const char *path, off_t size)
{
  struct stat st = {.st_size = size};

  return rules_settle (rules, rules_verdict (rules, 0, path), &st);
}

static void the_first_match_goes_before_layers (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "/a/b/c", 3, 3);
  add_first (&rules, "/a/b", 1, 0);
  add_first (&rules, "/a", 2, 0);
  add_first (&rules, "/a/b/c", 3, 0);
  assert_int_equal (rules_verdict (&rules, 0, "/a/b/c"), 1);
  assert_int_equal (rules_verdict (&rules, 0, "/a/x/c"), 2);
  assert_int_equal (rules_verdict (&rules, 0, "/x"), 0);
  /* A rule above that comes later does not undo what an earlier one says below. */
  assert_int_equal (rules_verdict (&rules, 0, "/a"), 2);
}

static void conditions_are_open_until_there_is_a_stat (void **state)
{
  autorules struct rules rules = {0};

  (void) state;
  add (&rules, "/a", 3, 2);
  add_first (&rules, "/a/big", 1, 100);
  add_first (&rules, "/a", 3, 1000);
  add_first (&rules, "/a/sure", 0, 0);
  add_first (&rules, "/", 1, 5000);
  assert_int_equal (settled (&rules, "/a/x", 10), 2);
  assert_int_equal (settled (&rules, "/a/x", 1000), 3);
  assert_int_equal (settled (&rules, "/a/big", 1000), 1);
  assert_int_equal (settled (&rules, "/a/sure", 10), 0);
  assert_int_equal (settled (&rules, "/a/sure", 1000), 3);
  assert_int_equal (settled (&rules, "/b", 10), 0);
  assert_int_equal (settled (&rules, "/b", 6000), 1);
  assert_true (rules_can_be (&rules, rules_verdict (&rules, 0, "/b"), 3, 1));
  assert_false (rules_can_be (&rules, rules_verdict (&rules, 0, "/b"), 3, 3));
  /* Value bits are the ones without conditions. */
  assert_int_equal (rules_verdict (&rules, 0, "/a/x") & 3, 2);
}

static void neighbours_with_one_condition_share_a_bit (void **state)
{
  autorules struct rules rules = {0};
  autoerr struct err err = {0};
  struct rule_condition condition = RULE_CONDITION_NONE;

  (void) state;
  for (unsigned i = 0; i < 100; i++) {
    autofree char *path = xasprintf ("/p%u", i);

    add_first (&rules, path, 1, 100);
  }
  assert_int_equal (rules.open_count, 1);
  assert_int_equal (settled (&rules, "/p99/x", 100), 1);
  for (unsigned i = 1; i < RULES_CONDITIONS_MAX; i++)
    add_first (&rules, "/p", 1, 100 + i);
  condition.size_min = 1;
  assert_int_equal (rules_add_first (&rules, "/p", 0, 3, 3, 1, &condition, &err), -ERR_USAGE);
}

static void final_is_where_nothing_deeper_matches (void **state)
{
  autorules struct rules rules = {0};
  autorulesstate struct rules_state a = {0}, b = {0};

  (void) state;
  add (&rules, "*.x", 4, 4);
  add (&rules, "/a/b", 3, 1);
  rules_enter_path (&rules, 0, "/a", &a);
  rules_enter_path (&rules, 0, "/b", &b);
  assert_false (rules_are_final (&rules, &a, 3));
  assert_true (rules_are_final (&rules, &b, 3));
  assert_false (rules_are_final (&rules, &b, 4));
}

static void bad_patterns_are_refused (void **state)
{
  static const char *const bad[] = {"",   "/a/../b", "/a//b",        "/./a",
                                    "..", "a//b",    "/a/x**y/../b", "a**b**c**d**e**f"};
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
      cmocka_unit_test (two_stars_cross_components),
      cmocka_unit_test (the_first_match_goes_before_layers),
      cmocka_unit_test (conditions_are_open_until_there_is_a_stat),
      cmocka_unit_test (neighbours_with_one_condition_share_a_bit),
      cmocka_unit_test (final_is_where_nothing_deeper_matches),
      cmocka_unit_test (bad_patterns_are_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
