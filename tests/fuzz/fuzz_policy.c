/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Policy text, and the matching of paths against it. */
#include "unify/policy.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autofree char *text = xstrndup ((const char *) data, size);
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};

  if (policy_parse (text, "fuzz", &policy, &err) == 0)
    (void) rules_verdict (&policy.rules, FOLD_SHARED, text);
  return 0;
}
