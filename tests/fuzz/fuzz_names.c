/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Name lists with bracket ranges, as a command line gives them. */
#include "guest/names.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size < 64 ? size : 64);
  autonames struct names names = {0};
  autoerr struct err err = {0};

  if (names_expand (text, &names, &err) == 0)
    for (size_t i = 0; i < names.count; i++)
      if (name_check (names.items[i], "guest", &err) == 0)
        (void) hostname_check (names.items[i], &err);
  return 0;
}
