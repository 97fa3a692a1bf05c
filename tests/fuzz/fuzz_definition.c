/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions of templates, and the list of sources of a new system. */
#include "template/bootstrap.h"
#include "template/definition.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autofree char *sources = bootstrap_sources (text, "bookworm");
  autodefinition struct definition definition = {0};
  autoerr struct err err = {0};

  if (strlen (sources) > (1 << 20))
    abort ();
  if (definition_parse ((const char *) data, size, "input", &definition, &err) == 0 &&
      (!definition.kind || !definition.source))
    abort ();
  return 0;
}
