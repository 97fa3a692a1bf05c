/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/cleanup.h"
#include "util/err.h"

static void code_sets_text_and_returns_negative (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  assert_string_equal (err_text (&err), "no error");
  assert_int_equal (err_exit_status (&err), 0);
  assert_int_equal (err_code (&err, ERR_USAGE, "bad %s", "word"), -ERR_USAGE);
  assert_string_equal (err_text (&err), "bad word");
  assert_int_equal (err_exit_status (&err), 2);
}

static void errno_is_told_in_words (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  errno = ENOENT;
  assert_int_equal (err_errno (&err, "open %s", "x"), -ENOENT);
  assert_string_equal (err_text (&err), "open x: No such file or directory");
  assert_int_equal (errno, ENOENT);
  assert_int_equal (err_exit_status (&err), 1);
}

static void context_goes_before_the_text (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  (void) err_code (&err, EIO, "read");
  assert_int_equal (err_wrap (&err, "guest %s", "web"), -EIO);
  assert_string_equal (err_text (&err), "guest web: read");
}

static void second_error_replaces_the_first (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  (void) err_code (&err, EIO, "first");
  (void) err_code (&err, ERR_LOCKED, "second");
  assert_string_equal (err_text (&err), "second");
  assert_int_equal (err_exit_status (&err), 7);
  err_release (&err);
  assert_int_equal (err_exit_status (&err), 0);
  err_release (NULL);
}

static void each_code_has_its_exit_status (void **state)
{
  static const struct {
    int code, status;
  } cases[] = {{EIO, 1},          {ERR_USAGE, 2},  {ERR_SOME_FAILED, 3},  {ERR_NOTHING, 4},
               {ERR_NO_GUEST, 5}, {ERR_LOCKED, 7}, {ERR_INTERRUPTED, 130}};

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autoerr struct err err = {0};

    (void) err_code (&err, cases[i].code, "x");
    assert_int_equal (err_exit_status (&err), cases[i].status);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (code_sets_text_and_returns_negative),
      cmocka_unit_test (errno_is_told_in_words),
      cmocka_unit_test (context_goes_before_the_text),
      cmocka_unit_test (second_error_replaces_the_first),
      cmocka_unit_test (each_code_has_its_exit_status),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
