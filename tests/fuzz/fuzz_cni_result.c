/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What CNI plugins print: results, and errors. */
#include "runtime/cni_result.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autojson json_object *result = NULL, *summary = NULL;
  autoerr struct err err = {0};
  size_t len = strlen (text);

  autofree char *line = cni_error_line (text, len, text);
  if (cni_result_parse (text, len, &result, &err) == 0)
    (void) cni_result_summary (result, &summary, &err);
  return 0;
}
