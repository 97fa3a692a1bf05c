/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "guest/identity.h"
#include "guest/names.h"

static char *join (const struct names *names)
{
  char *text = xstrdup ("");

  for (size_t i = 0; i < names->count; i++) {
    char *more = xasprintf ("%s%s%s", text, i ? " " : "", names->items[i]);

    free (text);
    text = more;
  }
  return text;
}

static void assert_expands (const char *text, const char *expected)
{
  autoerr struct err err = {0};
  autonames struct names names = {0};

  assert_int_equal (names_expand (text, &names, &err), 0);
  autofree char *joined = join (&names);
  assert_string_equal (joined, expected);
}

/* What is brief expands to the same names again. */
static void assert_brief (const char *text, const char *expected)
{
  autonames struct names names = {0}, again = {0};
  autofree char *brief = NULL, *plain = NULL;
  autoerr struct err err = {0};
  size_t used = 0;

  assert_int_equal (names_expand (text, &names, &err), 0);
  brief = names_brief (&names);
  assert_string_equal (brief, expected);
  plain = xstrdup (brief);
  for (const char *p = brief; *p; p++)
    if (*p != ' ')
      plain[used++] = *p;
  plain[used] = '\0';
  assert_int_equal (names_expand (plain, &again, &err), 0);
  assert_int_equal (again.count, names.count);
  for (size_t i = 0; i < names.count; i++)
    assert_true (names_has (&again, names.items[i]));
}

static void names_are_brief (void **state)
{
  (void) state;
  assert_brief ("web1", "web1");
  assert_brief ("web,db", "db, web");
  assert_brief ("web[1-31],db", "db, web[1-31]");
  assert_brief ("web10,web9,web11,web2", "web[2,9-11]");
  assert_brief ("web[01-12]", "web[01-12]");
  assert_brief ("web[1-9],web010", "web[1-9,010]");
  assert_brief ("a1,a01,a2", "a[01,1-2]");
  assert_brief ("[1-3]", "[1-3]");
  assert_brief ("web1a,web2a", "web1a, web2a");
  assert_brief ("n1234567890,n1234567891", "n1[234567890-234567891]");
}

static void ranges_expand (void **state)
{
  (void) state;
  assert_expands ("web1", "web1");
  assert_expands ("web[01-03,7],db", "web01 web02 web03 web7 db");
  assert_expands ("web[8-11]", "web8 web9 web10 web11");
  assert_expands ("web[08-11]x", "web08x web09x web10x web11x");
  assert_expands ("a[1-2]b[3-4]", "a1b3 a1b4 a2b3 a2b4");
  assert_expands ("[1-2]", "1 2");
  assert_expands ("b,a,b", "b a b");
  assert_expands ("web*,d[ab]?", "web* d[ab]?");
}

static void bad_ranges_are_refused (void **state)
{
  static const char *const bad[] = {
      "",
      "a,,b",
      ",a",
      "a,",
      "w[3-1]",
      "w[1-]",
      "w[1;2]",
      "w[1,]",
      "w[1-2-3]",
      "w[1234567890]",
      "w[1-999999999]",
  };

  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autoerr struct err err = {0};
    autonames struct names names = {0};

    if (names_expand (bad[i], &names, &err) != -ERR_USAGE)
      fail_msg ("\"%s\" was taken", bad[i]);
  }
}

static void names_are_checked (void **state)
{
  static const char *const good[] = {"a", "web1", "A.b_c-d", "0", "x.", "_"};
  static const char *const bad[] = {"",    ".",        "..", ".a",  "-a",    "a/b",
                                    "a b", "\xc3\xa4", "a*", "all", "build", "a\n"};
  autoerr struct err err = {0};
  char name[NAME_LENGTH_MAX + 2];

  (void) state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    assert_int_equal (name_check (good[i], "guest", &err), 0);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (name_check (bad[i], "guest", &err), -ERR_USAGE);
  memset (name, 'n', sizeof name);
  name[NAME_LENGTH_MAX] = '\0';
  assert_int_equal (name_check (name, "guest", &err), 0);
  name[NAME_LENGTH_MAX] = 'n';
  name[NAME_LENGTH_MAX + 1] = '\0';
  assert_int_equal (name_check (name, "guest", &err), -ERR_USAGE);
}

static void host_names_are_checked (void **state)
{
  static const char *const good[] = {"a", "web-1", "www.example.org", "1.2", "A"};
  static const char *const bad[] = {"",   "-a",  "a-",  "a..b", ".a",
                                    "a.", "a_b", "a b", "a.-b", "a-.b"};
  autoerr struct err err = {0};

  (void) state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    assert_int_equal (hostname_check (good[i], &err), 0);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (hostname_check (bad[i], &err), -ERR_USAGE);
}

static void guests_get_host_names (void **state)
{
  autoerr struct err err = {0};
  autofree char *plain = NULL, *odd = NULL, *none = NULL;

  (void) state;
  assert_int_equal (hostname_for_guest ("web1", &plain, &err), 0);
  assert_string_equal (plain, "web1");
  assert_int_equal (hostname_for_guest ("a_b_", &odd, &err), 0);
  assert_string_equal (odd, "a-b");
  assert_int_equal (hostname_for_guest ("a..b", &none, &err), -ERR_USAGE);
  assert_int_equal (hostname_for_guest ("_", &none, &err), -ERR_USAGE);
  assert_null (none);
}

static void make_existing (struct names *names)
{
  static const char *const existing[] = {"db", "mail", "web1", "web10", "web2"};

  for (size_t i = 0; i < sizeof existing / sizeof existing[0]; i++)
    names_add (names, existing[i]);
}

/* @code 0: @expected are the names; else it is part of the message. */
static void assert_selects (const char *pattern, const char *exclude, bool all, int code,
                            const char *expected)
{
  autoerr struct err err = {0};
  autoselection struct selection selection = {.all = all};
  autonames struct names existing = {0}, selected = {0};

  make_existing (&existing);
  if (pattern)
    names_add (&selection.patterns, pattern);
  if (exclude)
    names_add (&selection.exclude, exclude);
  assert_int_equal (selection_resolve (&selection, &existing, &selected, &err), -code);
  autofree char *joined = join (&selected);
  if (code)
    assert_non_null (strstr (err_text (&err), expected));
  else
    assert_string_equal (joined, expected);
}

static void selections_resolve (void **state)
{
  (void) state;
  assert_selects ("web2,db", NULL, false, 0, "db web2");
  assert_selects ("web*", NULL, false, 0, "web1 web10 web2");
  assert_selects ("web[1-2],web*", NULL, false, 0, "web1 web10 web2");
  assert_selects (NULL, NULL, true, 0, "db mail web1 web10 web2");
  assert_selects (NULL, "web*,db", true, 0, "mail");
  assert_selects ("[dm]*", NULL, false, 0, "db mail");
}

static void selections_tell_what_is_wrong (void **state)
{
  (void) state;
  assert_selects (NULL, NULL, false, ERR_USAGE, "--all");
  assert_selects ("wbe1", NULL, false, ERR_NO_GUEST, "did you mean");
  assert_selects ("zz*", NULL, false, ERR_NO_GUEST, "zz*");
  assert_selects ("web[1-3]", NULL, false, ERR_NO_GUEST, "web3");
  assert_selects ("web1", "web1", false, ERR_NO_GUEST, "--exclude");
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (ranges_expand),          cmocka_unit_test (names_are_brief),
      cmocka_unit_test (bad_ranges_are_refused), cmocka_unit_test (names_are_checked),
      cmocka_unit_test (host_names_are_checked), cmocka_unit_test (guests_get_host_names),
      cmocka_unit_test (selections_resolve),     cmocka_unit_test (selections_tell_what_is_wrong),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
