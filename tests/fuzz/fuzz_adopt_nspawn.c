/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NAME.nspawn of systemd. */
#include "adopt/nspawn.h"
#include "guest/settings.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autotranslation struct translation translation = {0};
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  translation_init (&translation, "web1", size % 2 ? "lan" : NULL);
  nspawn_translate (&translation, text);
  translation_finish (&translation);
  if (settings_parse (translation.settings, "web1", &settings, &err) < 0) {
    fprintf (stderr, "%s\n", err_text (&err));
    abort ();
  }
  return 0;
}
