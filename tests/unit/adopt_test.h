/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a translation is compared with. */
#ifndef VG_TESTS_UNIT_ADOPT_TEST_H
#define VG_TESTS_UNIT_ADOPT_TEST_H

#include "test.h"
#include "adopt/translation.h"
#include "guest/settings.h"

/* Finishes the translation; its settings must be the JSON @settings, with "'" for quotes. */
static inline void expect_settings (struct translation *translation, const char *settings)
{
  autofree char *text = xstrdup (settings);
  autojson json_object *expected = NULL;
  autosettings struct settings parsed = {0};
  autoerr struct err err = {0};

  for (char *p = text; *p; p++)
    if (*p == '\'')
      *p = '"';
  translation_finish (translation);
  assert_int_equal (json_parse_object (text, strlen (text), "expected", &expected, &err), 0);
  if (!json_object_equal (translation->settings, expected))
    fail_msg ("settings: %s, expected %s, left over: %s",
              json_object_to_json_string (translation->settings), text,
              json_object_to_json_string (translation->leftovers));
  assert_int_equal (settings_parse (translation->settings, translation->name, &parsed, &err), 0);
}

/* How many leftovers are about @key and have @value, which may be NULL, in their value. */
static inline size_t left_over (const struct translation *translation, const char *key,
                                const char *value)
{
  size_t count = 0;

  for (size_t i = 0; i < json_object_array_length (translation->leftovers); i++) {
    json_object *leftover = json_object_array_get_idx (translation->leftovers, i);

    count += strcmp (json_object_get_string (json_object_object_get (leftover, "key")), key) == 0 &&
             (!value || strstr (json_object_get_string (json_object_object_get (leftover, "value")),
                                value) != NULL);
    assert_true (json_object_get_string_len (json_object_object_get (leftover, "why")) > 0);
  }
  return count;
}

#endif
