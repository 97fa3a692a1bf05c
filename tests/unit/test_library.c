/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/library.h"

double cos (double x);
double fabs (double x);

#define MATH_FUNCTIONS(FUNCTION) FUNCTION (cos) FUNCTION (fabs)

static struct math {
  MATH_FUNCTIONS (LIBRARY_MEMBER)
} math;

static const char *const math_names[] = {MATH_FUNCTIONS (LIBRARY_NAME)};
static struct library math_library = {
    .soname = "libm.so.6",
    .what_for = "to count",
    .package = "libc6",
    .functions = (void **) &math,
    .names = math_names,
    .count = 2,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
};

static void *load_in_thread (void *data)
{
  autoerr struct err err = {0};

  return library_load (&math_library, &err) == 0 && math.cos (0) == 1 ? NULL : data;
}

static void functions_are_found (void **state)
{
  autoerr struct err err = {0};
  pthread_t threads[4];
  void *failed;
  char failure;

  (void) state;
  assert_null (math.cos);
  for (size_t i = 0; i < 4; i++)
    assert_int_equal (pthread_create (&threads[i], NULL, load_in_thread, &failure), 0);
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal (pthread_join (threads[i], &failed), 0);
    assert_null (failed);
  }
  assert_int_equal (library_load (&math_library, &err), 0);
  assert_true (math.fabs (-2) == 2);
}

static void one_that_is_missing_is_named (void **state)
{
  struct library absent = {
      .soname = "libabsent.so.1",
      .what_for = "to be away",
      .package = "none",
      .mutex = PTHREAD_MUTEX_INITIALIZER,
  };
  autoerr struct err err = {0};

  (void) state;
  for (int i = 0; i < 2; i++) {
    assert_int_equal (library_load (&absent, &err), -ELIBACC);
    assert_string_equal (err_text (&err),
                         "the library libabsent.so.1 is needed to be away, and cannot be loaded "
                         "(libabsent.so.1: cannot open shared object file: No such file or "
                         "directory): install the package none");
  }
  assert_int_equal (err_exit_status (&err), 1);
}

static void one_without_a_function_is_not_used (void **state)
{
  static const char *const names[] = {"cos", "err_text"};
  void *functions[2] = {NULL, NULL};
  struct library old = {
      .soname = "libm.so.6",
      .what_for = "to count more",
      .package = "libc6",
      .functions = functions,
      .names = names,
      .count = 2,
      .mutex = PTHREAD_MUTEX_INITIALIZER,
  };
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (library_load (&old, &err), -ELIBACC);
  assert_non_null (strstr (err_text (&err), "undefined symbol: err_text"));
  assert_false (old.loaded);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (functions_are_found),
      cmocka_unit_test (one_that_is_missing_is_named),
      cmocka_unit_test (one_without_a_function_is_not_used),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
