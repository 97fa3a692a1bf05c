/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What docker inspect tells. */
#include "adopt/inspect.h"
#include "guest/settings.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autotranslation struct translation translation = {0};
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  translation_init (&translation, "web1", size % 2 ? "lan" : NULL);
  if (inspect_translate (&translation, text, strlen (text), &err) < 0)
    err_release (&err);
  translation_finish (&translation);
  if (settings_parse (translation.settings, "web1", &settings, &err) < 0) {
    fprintf (stderr, "%s\n", err_text (&err));
    abort ();
  }
  return 0;
}
