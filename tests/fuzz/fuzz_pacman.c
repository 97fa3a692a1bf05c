/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What pacman prints, and the names in its database. */
#include "pkg/pacman.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autopkgchanges struct pkg_changes changes = {0};
  autopkgpackages struct pkg_packages packages = {0};
  autoerr struct err err = {0}, entry_err = {0};
  struct pkg_line line;

  if (pacman_parse_plan ((const char *) data, size, &changes, &err) == 0)
    for (size_t i = 0; i < changes.count; i++)
      if (!changes.items[i].old_version == !changes.items[i].new_version)
        abort ();
  pacman_line (text, &line);
  pacman_is_damaged (text);
  if (pacman_add_entry (&packages, text, &entry_err) == 0 && packages.count) {
    autofree char *again = xasprintf ("%s-%s", packages.items[0].key, packages.items[0].version);

    if (strcmp (again, text) != 0)
      abort ();
  }
  return 0;
}
