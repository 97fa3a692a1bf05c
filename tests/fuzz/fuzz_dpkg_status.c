/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dpkg's status file, and what changed between its two halves. */
#include "pkg/dpkg_status.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autodpkgstatus struct dpkg_status before = {0}, after = {0};
  autoerr struct err err = {0};
  const char *text = (const char *) data;
  size_t half = size / 2;

  if (dpkg_status_parse (text, half, &before, &err) == 0 &&
      dpkg_status_parse (text + half, size - half, &after, &err) == 0 &&
      dpkg_status_changed (&before, &after) != dpkg_status_changed (&after, &before))
    abort ();
  return 0;
}
