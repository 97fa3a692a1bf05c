/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory of util-vserver: "PATH CONTENTS" up to an empty line, and so on. */
#include "adopt/vserver.h"
#include "guest/settings.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autotranslation struct translation translation = {0};
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  translation_init (&translation, "web1", size % 2 ? "lan" : NULL);
  struct vserver *vserver = vserver_begin (&translation, 4096);
  for (char *at = text, *next; *at; at = next) {
    char *end = strstr (at, "\n\n");

    next = end ? end + 2 : at + strlen (at);
    if (end)
      *end = '\0';
    size_t len = strcspn (at, " ");
    char *contents = at[len] ? at + len + 1 : at + len;

    at[len] = '\0';
    vserver_take (vserver, at, contents);
  }
  vserver_end (vserver);
  translation_finish (&translation);
  if (settings_parse (translation.settings, "web1", &settings, &err) < 0) {
    fprintf (stderr, "%s\n", err_text (&err));
    abort ();
  }
  return 0;
}
