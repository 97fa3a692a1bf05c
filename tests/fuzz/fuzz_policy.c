/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Policy text, and the matching of paths against it: what a walk finds must be what each rule alone
 * gives. */
#include "unify/policy.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void compare (const struct policy *policy, const char *path, const struct stat *st)
{
  struct policy_reason reason;
  unsigned walked =
      rules_settle (&policy->rules, rules_verdict (&policy->rules, FOLD_SHARED, path), st);

  policy_explain (policy, path, st, &reason);
  if (walked != reason.verdict)
    abort ();
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const paths[] = {"/",       "/a", "/a/b", "/a/b/c/a/b", "/usr/lib/x.pyc",
                                      "/b/a/a/b"};
  autofree char *text = xstrndup ((const char *) data, size);
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};

  if (size > 4096 || policy_parse (text, "fuzz", &policy, &err) < 0)
    return 0;
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    for (off_t bytes = 0; bytes <= 100000; bytes = bytes ? bytes * 100 : 10) {
      const struct stat st = {.st_size = bytes, .st_uid = (uid_t) bytes, .st_gid = 100};

      compare (&policy, paths[i], &st);
    }
  return 0;
}
