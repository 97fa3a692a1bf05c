/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON that people write: the way config and state files are read. */
#include "util/json.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const keys[] = {"root", "runtime", "list", NULL};
  autojson json_object *object = NULL;
  json_object *list = NULL;
  autoerr struct err err = {0};
  const char *text = NULL;
  int64_t number = 0;

  if (json_parse_object ((const char *) data, size, "fuzz", &object, &err) < 0)
    return 0;
  (void) json_check_keys (object, keys, "fuzz", &err);
  (void) json_get_string (object, "root", NULL, &text, &err);
  (void) json_get_int (object, "runtime", 0, &number, &err);
  (void) json_get_strings (object, "list", &list, &err);
  return 0;
}
