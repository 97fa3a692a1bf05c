/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/strbuf.h"

static void appends_and_terminates (void **state)
{
  autostrbuf struct strbuf sb = STRBUF_INIT (1000);

  (void) state;
  assert_string_equal (strbuf_str (&sb), "");
  assert_true (strbuf_adds (&sb, "one"));
  assert_true (strbuf_add (&sb, "\0x", 2));
  assert_true (strbuf_addf (&sb, "%d", 42));
  assert_int_equal (sb.len, 7);
  assert_memory_equal (strbuf_str (&sb), "one\0x42", 8);
  strbuf_truncate (&sb, 2);
  assert_string_equal (strbuf_str (&sb), "on");
  strbuf_truncate (&sb, 100);
  assert_int_equal (sb.len, 2);
}

static void refuses_more_than_the_maximum (void **state)
{
  autostrbuf struct strbuf sb = STRBUF_INIT (5);

  (void) state;
  assert_true (strbuf_adds (&sb, "12345"));
  assert_false (sb.failed);
  assert_false (strbuf_adds (&sb, "6"));
  assert_true (sb.failed);
  assert_string_equal (strbuf_str (&sb), "12345");
  assert_false (strbuf_add (&sb, "x", SIZE_MAX));
}

static void steal_empties (void **state)
{
  autostrbuf struct strbuf sb = STRBUF_INIT (100);

  (void) state;
  autofree char *empty = strbuf_steal (&sb);
  assert_string_equal (empty, "");
  strbuf_adds (&sb, "text");
  autofree char *text = strbuf_steal (&sb);
  assert_string_equal (text, "text");
  assert_string_equal (strbuf_str (&sb), "");
}

static void names_become_a_path_and_go (void **state)
{
  autostrbuf struct strbuf sb = STRBUF_INIT (100);

  (void) state;
  assert_int_equal (strbuf_push_name (&sb, "usr"), 0);
  size_t before = strbuf_push_name (&sb, "lib");
  assert_string_equal (strbuf_str (&sb), "usr/lib");
  strbuf_truncate (&sb, before);
  assert_string_equal (strbuf_str (&sb), "usr");
}

static void grows_over_many_appends (void **state)
{
  autostrbuf struct strbuf sb = STRBUF_INIT (1 << 20);

  (void) state;
  for (int i = 0; i < 10000; i++)
    assert_true (strbuf_addf (&sb, "%04d,", i));
  assert_int_equal (sb.len, 50000);
  assert_memory_equal (strbuf_str (&sb) + 5 * 1234, "1234,", 5);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (appends_and_terminates),  cmocka_unit_test (refuses_more_than_the_maximum),
      cmocka_unit_test (steal_empties),           cmocka_unit_test (names_become_a_path_and_go),
      cmocka_unit_test (grows_over_many_appends),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
