/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "pkg/dpkg_status.h"

static const char before_text[] = "Package: libc6\n"
                                  "Status: install ok installed\n"
                                  "Architecture: amd64\n"
                                  "Description: a library\n"
                                  " Version: 9.9 is not a field here\n"
                                  " .\n"
                                  "Version: 2.36-9\n"
                                  "\n"
                                  "\n"
                                  "package: hello\n"
                                  "STATUS: install ok installed\n"
                                  "Architecture: amd64\n"
                                  "Version:2.10-3  \n"
                                  "Installed-Size: 77\n"
                                  "\n"
                                  "Package: gone\n"
                                  "Status: purge ok not-installed\n"
                                  "Architecture: amd64\n"
                                  "\n"
                                  "Package: rest\n"
                                  "Status: deinstall ok config-files\n"
                                  "Architecture: all\n"
                                  "Version: 1\n";

static int parse (const char *text, struct pkg_packages *status, struct err *err)
{
  return dpkg_status_parse (text, strlen (text), status, err);
}

static size_t changed (const struct pkg_packages *before, const struct pkg_packages *after)
{
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};

  assert_int_equal (pkg_changes_between (before, after, &changes, &err), 0);
  return changes.count;
}

static void fields_are_found_and_sorted (void **state)
{
  autopkgpackages struct pkg_packages status = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (parse (before_text, &status, &err), 0);
  assert_int_equal (status.count, 3);
  assert_string_equal (status.items[0].key, "hello:amd64");
  assert_string_equal (status.items[0].version, "2.10-3");
  assert_string_equal (status.items[0].state, "install ok installed");
  assert_int_equal (status.items[0].size, 77 * 1024);
  assert_string_equal (status.items[1].key, "libc6:amd64");
  assert_string_equal (status.items[1].version, "2.36-9");
  assert_int_equal (status.items[1].size, 0);
  assert_string_equal (status.items[2].key, "rest:all");
}

static void changes_are_counted (void **state)
{
  /* hello is upgraded, rest is gone, new came, libc6 stayed. */
  static const char after_text[] = "Package: libc6\nStatus: install ok installed\n"
                                   "Architecture: amd64\nVersion: 2.36-9\n\n"
                                   "Package: hello\nStatus: install ok installed\n"
                                   "Architecture: amd64\nVersion: 2.10-4\n\n"
                                   "Package: new\nStatus: install ok installed\n"
                                   "Architecture: all\nVersion: 1\n\n";
  autopkgpackages struct pkg_packages before = {0}, after = {0}, none = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (parse (before_text, &before, &err), 0);
  assert_int_equal (parse (after_text, &after, &err), 0);
  assert_int_equal (changed (&before, &after), 3);
  assert_int_equal (changed (&after, &before), 3);
  assert_int_equal (changed (&before, &before), 0);
  assert_int_equal (changed (&none, &after), 3);
  assert_int_equal (changed (&none, &none), 0);
}

static void a_state_alone_is_a_change (void **state)
{
  autopkgpackages struct pkg_packages before = {0}, after = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (parse ("Package: a\nStatus: install ok unpacked\nVersion: 1\n", &before, &err),
                    0);
  assert_int_equal (parse ("Package: a\nStatus: install ok installed\nVersion: 1\n", &after, &err),
                    0);
  assert_int_equal (changed (&before, &after), 1);
}

static void what_is_left_of_a_removed_package_is_no_package (void **state)
{
  static const char installed[] = "Package: a\nStatus: install ok installed\nVersion: 1\n";
  static const char rest[] = "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n";
  autopkgpackages struct pkg_packages before = {0}, after = {0};
  autopkgchanges struct pkg_changes there = {0}, back = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (parse (installed, &before, &err), 0);
  assert_int_equal (parse (rest, &after, &err), 0);
  assert_int_equal (pkg_changes_between (&before, &after, &there, &err), 0);
  assert_int_equal (there.items[0].action, PKG_REMOVE);
  assert_string_equal (there.items[0].old_version, "1");
  assert_int_equal (pkg_changes_between (&after, &before, &back, &err), 0);
  assert_int_equal (back.items[0].action, PKG_INSTALL);
}

static void twice_the_same_package_counts_once (void **state)
{
  autopkgpackages struct pkg_packages status = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (parse ("Package: a\nStatus: install ok installed\nVersion: 1\n\n"
                           "Package: a\nStatus: install ok installed\nVersion: 1\n",
                           &status, &err),
                    0);
  assert_int_equal (status.count, 1);
}

static void nonsense_is_refused_with_its_line (void **state)
{
  autofree char *longest = xcalloc (1, PKG_WORD_MAX + 64);
  static const struct {
    const char *text;
    const char *where;
  } cases[] = {
      {"Package: a\nnonsense\n", "line 2"},
      {"\n\nStatus: install ok installed\n", "line 3"},
      {": value\n", "line 1"},
      {"#!/bin/sh\n", "line 1"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autopkgpackages struct pkg_packages status = {0};
    autoerr struct err err = {0};

    assert_int_equal (parse (cases[i].text, &status, &err), -EINVAL);
    assert_non_null (strstr (err_text (&err), cases[i].where));
    assert_int_equal (status.count, 0);
  }
  memcpy (longest, "Package: ", 9);
  memset (longest + 9, 'x', PKG_WORD_MAX + 1);
  autopkgpackages struct pkg_packages status = {0};
  autoerr struct err err = {0};
  assert_int_equal (parse (longest, &status, &err), -EINVAL);
  err_release (&err);
  assert_int_equal (dpkg_status_parse ("Package: a\0b\n", 13, &status, &err), -EINVAL);
}

static void an_empty_file_has_no_packages (void **state)
{
  autopkgpackages struct pkg_packages status = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (parse ("", &status, &err), 0);
  assert_int_equal (parse ("\n \n\n", &status, &err), 0);
  assert_int_equal (status.count, 0);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (fields_are_found_and_sorted),
      cmocka_unit_test (changes_are_counted),
      cmocka_unit_test (a_state_alone_is_a_change),
      cmocka_unit_test (what_is_left_of_a_removed_package_is_no_package),
      cmocka_unit_test (twice_the_same_package_counts_once),
      cmocka_unit_test (nonsense_is_refused_with_its_line),
      cmocka_unit_test (an_empty_file_has_no_packages),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
