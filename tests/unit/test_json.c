/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/json.h"

static int parse (const char *text, json_object **ret_object, struct err *err)
{
  return json_parse_object (text, strlen (text), "the file", ret_object, err);
}

static void comments_are_allowed (void **state)
{
  autoerr struct err err = {0};
  autojson json_object *object = NULL;
  const char *value = NULL;

  (void) state;
  assert_int_equal (
      parse ("// why\n{\n  /* what */ \"a\": \"b\"\n}\n/* end */ // of it", &object, &err), 0);
  assert_int_equal (json_get_string (object, "a", "x", &value, &err), 0);
  assert_string_equal (value, "b");
}

static void bad_text_is_refused_with_its_line (void **state)
{
  static const struct {
    const char *text, *words;
  } cases[] = {
      {"{\n  \"a\": 1,\n  b\n}", "the file, line 3:"},
      {"{\"a\": 1", "unexpected end"},
      {"", "unexpected end"},
      {"[1]", "a JSON object is expected"},
      {"{} x", "something follows"},
      {"{} /", "the file, line 1"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autoerr struct err err = {0};
    autojson json_object *object = NULL;

    assert_int_equal (parse (cases[i].text, &object, &err), -ERR_USAGE);
    assert_null (object);
    assert_non_null (strstr (err_text (&err), cases[i].words));
  }
}

static void missing_members_give_the_fallback (void **state)
{
  autoerr struct err err = {0};
  autojson json_object *object = NULL, *unset = NULL;
  const char *text = NULL;
  int64_t number = 0;
  bool flag = false;
  json_object *member = json_object_new_object ();

  (void) state;
  unset = member;
  assert_int_equal (parse ("{\"null\": null}", &object, &err), 0);
  assert_int_equal (json_get_string (object, "null", "x", &text, &err), 0);
  assert_string_equal (text, "x");
  assert_int_equal (json_get_int (object, "n", -7, &number, &err), 0);
  assert_int_equal (number, -7);
  assert_int_equal (json_get_bool (object, "b", true, &flag, &err), 0);
  assert_true (flag);
  assert_int_equal (json_get_object (object, "o", &member, &err), 0);
  assert_null (member);
  member = unset;
  assert_int_equal (json_get_strings (object, "s", &member, &err), 0);
  assert_null (member);
}

static void wrong_types_are_refused (void **state)
{
  autoerr struct err err = {0};
  autojson json_object *object = NULL;
  json_object *member = NULL;
  const char *text = "unchanged";
  int64_t number = 5;
  bool flag = true;

  (void) state;
  assert_int_equal (
      parse ("{\"n\": 1, \"s\": \"x\", \"l\": [\"a\", 2], \"z\": \"a\\u0000b\"}", &object, &err),
      0);
  assert_int_equal (json_get_string (object, "n", "", &text, &err), -ERR_USAGE);
  assert_string_equal (text, "unchanged");
  assert_non_null (strstr (err_text (&err), "\"n\" must be a string"));
  assert_int_equal (json_get_string (object, "z", "", &text, &err), -ERR_USAGE);
  assert_int_equal (json_get_int (object, "s", 0, &number, &err), -ERR_USAGE);
  assert_int_equal (number, 5);
  assert_int_equal (json_get_bool (object, "n", false, &flag, &err), -ERR_USAGE);
  assert_true (flag);
  assert_int_equal (json_get_object (object, "s", &member, &err), -ERR_USAGE);
  assert_int_equal (json_get_strings (object, "l", &member, &err), -ERR_USAGE);
}

static void numbers_keep_64_bits (void **state)
{
  autoerr struct err err = {0};
  autojson json_object *object = json_object_new_object ();
  int64_t number = 0;

  (void) state;
  json_set_int (object, "n", INT64_C (9007199254740993));
  assert_int_equal (json_get_int (object, "n", 0, &number, &err), 0);
  assert_true (number == INT64_C (9007199254740993));
}

static void unknown_keys_name_the_nearest (void **state)
{
  static const char *const keys[] = {"suite", "packages", NULL};
  autoerr struct err err = {0};
  autojson json_object *good = NULL, *near = NULL, *far = NULL;

  (void) state;
  assert_int_equal (parse ("{\"suite\": 1}", &good, &err), 0);
  assert_int_equal (json_check_keys (good, keys, "w", &err), 0);
  assert_int_equal (parse ("{\"pakages\": 1}", &near, &err), 0);
  assert_int_equal (json_check_keys (near, keys, "w", &err), -ERR_USAGE);
  assert_non_null (strstr (err_text (&err), "did you mean \"packages\"?"));
  assert_int_equal (parse ("{\"zzzzzzzzzz\": 1}", &far, &err), 0);
  assert_int_equal (json_check_keys (far, keys, "w", &err), -ERR_USAGE);
  assert_null (strstr (err_text (&err), "did you mean"));
}

static void nearest_word_has_limits (void **state)
{
  static const char *const known[] = {"build", "delete", "exec", NULL};

  (void) state;
  assert_string_equal (nearest_word ("biuld", known), "build");
  assert_string_equal (nearest_word ("delet", known), "delete");
  assert_null (nearest_word ("xyzzy", known));
  assert_null (nearest_word ("", known));
}

static void bytes_become_utf8 (void **state)
{
  static const struct {
    const char *bytes;
    size_t len;
    const char *expected;
  } cases[] = {
      {"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", 17,
       "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
      {"a\0b", 3,
       "a\xef\xbf\xbd"
       "b"},
      {"\xff", 1, "\xef\xbf\xbd"},
      {"\xc3", 1, "\xef\xbf\xbd"},
      {"\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"", 0, ""},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autojson json_object *object = json_object_new_object ();

    json_set_bytes (object, "key", cases[i].bytes, cases[i].len);
    assert_string_equal (json_object_get_string (json_object_object_get (object, "key")),
                         cases[i].expected);
  }
}

static void an_object_takes_null (void **state)
{
  autojson json_object *object = json_object_new_object ();

  (void) state;
  json_put (object, "key", NULL);
  assert_true (json_object_object_get_ex (object, "key", NULL));
  assert_null (json_object_object_get (object, "key"));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_object_takes_null),
      cmocka_unit_test (bytes_become_utf8),
      cmocka_unit_test (comments_are_allowed),
      cmocka_unit_test (bad_text_is_refused_with_its_line),
      cmocka_unit_test (missing_members_give_the_fallback),
      cmocka_unit_test (wrong_types_are_refused),
      cmocka_unit_test (numbers_keep_64_bits),
      cmocka_unit_test (unknown_keys_name_the_nearest),
      cmocka_unit_test (nearest_word_has_limits),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
