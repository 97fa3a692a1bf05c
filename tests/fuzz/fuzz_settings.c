/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of guests: a config.json in the first line, and assignments, one in each other line. */
#include "guest/settings.h"
#include "util/err.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* `set` with what `get` tells of @key; the value that `get` tells then, the caller's. */
static char *set_again (json_object *config, const char *key)
{
  autoerr struct err err = {0};
  autofree char *value = NULL, *again = NULL;

  if (settings_get (config, "web1", key, &value, &err) < 0)
    abort ();
  autofree char *assignment = xasprintf ("%s=%s", key, value);
  if (settings_set (config, "web1", assignment, &err) < 0 ||
      settings_get (config, "web1", key, &again, &err) < 0) {
    fprintf (stderr, "%s: %s\n", assignment, err_text (&err));
    abort ();
  }
  return steal_ptr (&again);
}

/* What `get` tells must be taken by `set`, give the same once it has the normal form, and the whole
 * still be good. */
static void check_get (json_object *config)
{
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  for (const char *const *key = settings_keys (); *key; key++) {
    autofree char *once = set_again (config, *key);
    autofree char *twice = set_again (config, *key);

    if (strcmp (once, twice) != 0) {
      fprintf (stderr, "%s: %s becomes %s\n", *key, once, twice);
      abort ();
    }
  }
  if (settings_parse (config, "web1", &settings, &err) < 0) {
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
