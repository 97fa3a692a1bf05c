/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dpkg's status file, and what changed between its two halves. */
#include "pkg/dpkg_status.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autopkgpackages struct pkg_packages before = {0}, after = {0};
  autoerr struct err err = {0};
  const char *text = (const char *) data;
  size_t half = size / 2;

  autopkgchanges struct pkg_changes there = {0}, back = {0};

  if (dpkg_status_parse (text, half, &before, &err) == 0 &&
      dpkg_status_parse (text + half, size - half, &after, &err) == 0 &&
      pkg_changes_between (&before, &after, &there, &err) == 0 &&
      pkg_changes_between (&after, &before, &back, &err) == 0 && there.count != back.count)
    abort ();
  return 0;
}
