/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What apk prints, and its database. */
#include "pkg/apk.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autopkgchanges struct pkg_changes changes = {0};
  autopkgpackages struct pkg_packages packages = {0};
  autoerr struct err err = {0}, plan_err = {0};
  struct pkg_line line;

  if (apk_installed_parse ((const char *) data, size, &packages, &err) == 0)
    for (size_t i = 1; i < packages.count; i++)
      if (strcmp (packages.items[i - 1].key, packages.items[i].key) > 0)
        abort ();
  if (apk_parse_plan ((const char *) data, size, &changes, &plan_err) == 0)
    for (size_t i = 0; i < changes.count; i++)
      if (!changes.items[i].old_version && !changes.items[i].new_version)
        abort ();
  apk_line (text, &line);
  return 0;
}
