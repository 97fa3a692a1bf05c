/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of an LXC container; each include is the text once more. */
#include "adopt/lxc.h"
#include "guest/settings.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static int read_again (void *data, const char *path, char **ret_text)
{
  if (*path != '/')
    return -1;
  *ret_text = xstrdup (data);
  return 0;
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autotranslation struct translation translation = {0};
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  translation_init (&translation, "web1", size % 2 ? "lan" : NULL);
  const struct lxc_files files = {read_again, text};
  lxc_translate (&translation, text, &files);
  translation_finish (&translation);
  if (settings_parse (translation.settings, "web1", &settings, &err) < 0) {
    fprintf (stderr, "%s\n", err_text (&err));
    abort ();
  }
  return 0;
}
