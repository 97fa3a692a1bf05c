/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of guests: a config.json in the first line, and assignments, one in each other line. */
#include "guest/settings.h"
#include "util/err.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* What `get` tells must be taken by `set`, and the whole still be good. */
static void check_get (json_object *config)
{
  autojson json_object *copy = NULL;
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  if (json_object_deep_copy (config, &copy, NULL) < 0)
    abort ();
  for (const char *const *key = settings_keys (); *key; key++) {
    autofree char *value = NULL;

    if (settings_get (config, "web1", *key, &value, &err) < 0)
      abort ();
    autofree char *assignment = xasprintf ("%s=%s", *key, value);
    autoerr struct err set_err = {0};
    if (settings_set (copy, "web1", assignment, &set_err) < 0) {
      fprintf (stderr, "%s: %s\n", assignment, err_text (&set_err));
      abort ();
    }
  }
  if (settings_parse (copy, "web1", &settings, &err) < 0) {
    fprintf (stderr, "%s\n", err_text (&err));
    abort ();
  }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  size_t len = strcspn (text, "\n");
  autojson json_object *config = NULL;
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  if (json_parse_object (text, len, "config.json", &config, &err) < 0) {
    err_release (&err);
    config = json_object_new_object ();
  }
  for (char *line = text + len; *line;) {
    line += strspn (line, "\n");
    char *end = line + strcspn (line, "\n");
    char after = *end;

    *end = '\0';
    if (*line)
      (void) settings_set (config, "web1", line, &err);
    *end = after;
    line = end;
  }
  err_release (&err);
  if (settings_parse (config, "web1", &settings, &err) < 0)
    return 0;
  if (!settings.hostname || (settings.swap_bytes >= 0 && settings.memory_bytes < 0))
    abort ();
  check_get (config);
  return 0;
}
