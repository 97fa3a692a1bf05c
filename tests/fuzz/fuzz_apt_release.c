/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Release files of apt's repositories. What is read of one is written, and read again. */
#include "pkg/apt_release.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void write_again (const struct apt_release *release)
{
  autostrbuf struct strbuf text = STRBUF_INIT (2 * APT_RELEASE_MAX);
  autoaptrelease struct apt_release again = {0};
  autoerr struct err err = {0};

  apt_release_add_fields (release, &text);
  apt_release_add_files (&text);
  for (size_t i = 0; i < release->count; i++) {
    autofree char *name = apt_release_list_name ("x_", 2, &release->files[i].path);

    if (strchr (name, '/') || apt_release_find (release, &release->files[i].path) == NULL)
      abort ();
    apt_release_add_file (&release->files[i], &text);
  }
  if (apt_release_parse (text.data, text.len, &again, &err) < 0 || again.count != release->count)
    abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autoaptrelease struct apt_release release = {0};
  autoerr struct err err = {0};

  if (apt_release_parse ((const char *) data, size, &release, &err) == 0)
    write_again (&release);
  return 0;
}
