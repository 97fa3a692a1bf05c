/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What rpm, dnf and zypper print. The first byte chooses the parser. */
#include "pkg/dnf.h"
#include "pkg/rpm.h"
#include "pkg/zypper.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void read_lines (const char *text)
{
  struct pkg_line line;

  rpm_line (text, &line);
  dnf_line (text, &line);
  zypper_line (text, &line);
  free (zypper_explain (text));
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autopkgpackages struct pkg_packages packages = {0};
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};
  int ret = 0;

  if (!size)
    return 0;
  const char *text = (const char *) data + 1;
  autofree char *string = xstrndup (text, strnlen (text, size - 1));
  switch (data[0] & 3) {
  case 0:
    ret = rpm_parse_installed (text, size - 1, &packages, &err);
    break;
  case 1:
    ret = dnf_parse_plan (text, size - 1, &changes, &err);
    dnf_has_plan (string);
    break;
  case 2:
    ret = zypper_parse_plan (text, size - 1, &changes, &err);
    break;
  default:
    read_lines (string);
  }
  if ((ret < 0) != (err.code != 0))
    abort ();
  return 0;
}
