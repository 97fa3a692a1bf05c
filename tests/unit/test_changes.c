/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "pkg/changes.h"
#include "pkg/events.h"

static void add (struct pkg_packages *packages, const char *key, const char *version,
                 const char *state)
{
  autoerr struct err err = {0};

  assert_int_equal (
      pkg_packages_add (packages, key, strlen (key), version, strlen (version), state, 1, &err), 0);
}

static void differences_are_found (void **state)
{
  autopkgpackages struct pkg_packages before = {0}, after = {0};
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};
  static const enum pkg_action expected[] = {PKG_REMOVE, PKG_UPGRADE, PKG_CONFIGURE, PKG_INSTALL};

  (void) state;
  add (&before, "b", "1", NULL);
  add (&before, "a", "1", NULL);
  add (&before, "c", "1", "half-installed");
  add (&before, "same", "1", "ok");
  add (&after, "b", "2", NULL);
  add (&after, "c", "1", "installed");
  add (&after, "same", "1", "ok");
  add (&after, "d", "1", NULL);
  pkg_packages_sort (&before);
  pkg_packages_sort (&after);
  assert_int_equal (pkg_changes_between (&before, &after, &changes, &err), 0);
  assert_int_equal (changes.count, 4);
  for (size_t i = 0; i < 4; i++)
    assert_int_equal (changes.items[i].action, expected[i]);
  assert_non_null (pkg_packages_find (&after, "d"));
  assert_null (pkg_packages_find (&after, "e"));
}

static void old_versions_come_from_what_is_installed (void **state)
{
  static const struct {
    const char *name;
    enum pkg_action action;
    const char *old;
  } expected[] = {
      {"newer", PKG_UPGRADE, "1"},  {"same", PKG_REINSTALL, "1"}, {"absent", PKG_INSTALL, NULL},
      {"told", PKG_DOWNGRADE, "3"}, {"gone", PKG_REMOVE, "9"},
  };
  autopkgpackages struct pkg_packages installed = {0};
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};

  (void) state;
  add (&installed, "newer", "1", NULL);
  add (&installed, "same", "1", NULL);
  add (&installed, "told", "1", NULL);
  add (&installed, "gone", "1", NULL);
  pkg_packages_sort (&installed);
  pkg_changes_add (&changes, PKG_INSTALL, "newer", 5, NULL, 0, "2", 1, &err);
  pkg_changes_add (&changes, PKG_INSTALL, "same", 4, NULL, 0, "1", 1, &err);
  pkg_changes_add (&changes, PKG_INSTALL, "absent", 6, NULL, 0, "1", 1, &err);
  pkg_changes_add (&changes, PKG_DOWNGRADE, "told", 4, "3", 1, "2", 1, &err);
  pkg_changes_add (&changes, PKG_REMOVE, "gone", 4, "9", 1, NULL, 0, &err);
  pkg_changes_complete (&changes, &installed, /* news_only= */ true);
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    assert_string_equal (changes.items[i].name, expected[i].name);
    assert_int_equal (changes.items[i].action, expected[i].action);
    assert_string_equal (changes.items[i].old_version ? changes.items[i].old_version : "",
                         expected[i].old ? expected[i].old : "");
  }
}

static void what_goes_through_json_comes_back (void **state)
{
  autopkgchanges struct pkg_changes changes = {0}, back = {0};
  autopkgfiles struct pkg_files files = {0}, files_back = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (pkg_changes_add (&changes, PKG_UPGRADE, "a", 1, "1", 1, "2", 1, &err), 0);
  assert_int_equal (pkg_changes_add (&changes, PKG_REMOVE, "b", 1, "1", 1, NULL, 0, &err), 0);
  assert_int_equal (
      pkg_files_add (&files, "http://x/y", 10, "y", 1, UINT64_MAX, NULL, NULL, 0, &err), 0);
  assert_int_equal (pkg_files_add (&files, "http://x/z", 10, "z", 1, 5, "md5",
                                   "d04c2e9639dee67aa836d8232b1ca658", 32, &err),
                    0);
  autojson json_object *array = pkg_changes_json (&changes);
  assert_int_equal (pkg_changes_from_json (array, &back, &err), 0);
  assert_int_equal (back.count, 2);
  assert_int_equal (back.items[1].action, PKG_REMOVE);
  assert_null (back.items[1].new_version);
  assert_string_equal (back.items[0].new_version, "2");
  autojson json_object *file_array = pkg_files_json (&files);
  assert_int_equal (pkg_files_from_json (file_array, &files_back, &err), 0);
  assert_int_equal (files_back.count, 2);
  assert_true (files_back.items[0].size == UINT64_MAX);
  assert_string_equal (files_back.items[1].hash_kind, "md5");
  assert_int_equal (files_back.items[1].size, 5);
}

static void bad_words_are_refused (void **state)
{
  autopkgpackages struct pkg_packages packages = {0};
  autopkgfiles struct pkg_files files = {0};
  autofree char *longest = xcalloc (1, PKG_WORD_MAX + 2);
  autoerr struct err err = {0};

  (void) state;
  memset (longest, 'x', PKG_WORD_MAX + 1);
  assert_int_equal (pkg_packages_add (&packages, "", 0, "1", 1, NULL, 0, &err), -EINVAL);
  assert_int_equal (pkg_packages_add (&packages, "a b", 3, "1", 1, NULL, 0, &err), -EINVAL);
  assert_int_equal (pkg_packages_add (&packages, longest, PKG_WORD_MAX + 1, "1", 1, NULL, 0, &err),
                    -EINVAL);
  assert_int_equal (pkg_files_add (&files, "u", 1, "a/b", 3, 0, NULL, NULL, 0, &err), -EINVAL);
  assert_int_equal (pkg_files_add (&files, "u", 1, "a", 1, 0, "crc", "00", 2, &err), -EINVAL);
  assert_int_equal (packages.count + files.count, 0);
}

struct seen {
  struct strbuf text;
};

static void see_line (void *data, const char *text)
{
  struct seen *seen = data;

  strbuf_addf (&seen->text, "l(%s)", text);
}

static void see_step (void *data, const char *phase, int percent)
{
  struct seen *seen = data;

  strbuf_addf (&seen->text, "s(%s %d)", phase, percent);
}

static void events_come_in_any_pieces (void **state)
{
  static const char text[] = "l one\ns 40 apply\ns -1 plan\nx unknown\nl\nl  two \n"
                             "r {\"a\": 1}\nr {\"a\": 2}\nl cut";

  (void) state;
  for (size_t piece = 1; piece < sizeof text; piece++) {
    struct seen seen = {.text = STRBUF_INIT (4096)};
    struct events events = EVENTS_INIT;

    events.on_line = see_line;
    events.on_step = see_step;
    events.data = &seen;
    for (size_t at = 0; at < sizeof text - 1; at += piece) {
      size_t left = sizeof text - 1 - at;

      events_add (&events, text + at, left < piece ? left : piece);
    }
    assert_string_equal (strbuf_str (&seen.text), "l(one)s(apply 40)s(plan -1)l( two )");
    /* The first result counts. */
    assert_int_equal (json_object_get_int (json_object_object_get (events.result, "a")), 1);
    events_release (&events);
    strbuf_release (&seen.text);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (differences_are_found),
      cmocka_unit_test (old_versions_come_from_what_is_installed),
      cmocka_unit_test (what_goes_through_json_comes_back),
      cmocka_unit_test (bad_words_are_refused),
      cmocka_unit_test (events_come_in_any_pieces),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
