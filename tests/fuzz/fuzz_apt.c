/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What apt-get prints of plans and addresses, its lines, and what becomes of them as JSON. */
#include "pkg/apt.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autopkgchanges struct pkg_changes changes = {0}, changes_back = {0};
  autopkgfiles struct pkg_files files = {0}, files_back = {0};
  autofree char *line = xstrndup ((const char *) data, size);
  autoerr struct err err = {0};
  struct pkg_line told;

  apt_line (line, &told);
  if (apt_parse_plan ((const char *) data, size, &changes, &err) == 0) {
    autojson json_object *array = pkg_changes_json (&changes);

    pkg_changes_from_json (array, &changes_back, &err);
  }
  if (apt_parse_uris ((const char *) data, size, &files, &err) == 0) {
    autojson json_object *array = pkg_files_json (&files);

    pkg_files_from_json (array, &files_back, &err);
  }
  for (size_t i = 0; i < files.count; i++)
    if (strchr (files.items[i].name, '/') || files.items[i].name[0] == '.')
      abort ();
  return 0;
}
