/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's passwd and group files: both halves of the input behind its first line, which is the
 * user that is looked for. */
#include "runtime/guestuser.h"
#include "util/utf8.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  autoguestuser struct guestuser user = {0};
  autoerr struct err err = {0};
  const char *text = (const char *) data;
  const char *end = memchr (text, '\n', size);

  if (!end)
    return 0;
  autofree char *spec = xstrndup (text, (size_t) (end - text));
  size -= (size_t) (end - text) + 1;
  text = end + 1;
  size_t half = size / 2;

  if (guestuser_parse (text, half, text + half, size - half, spec, &user, &err) < 0)
    return 0;
  if (user.uid == (uid_t) -1 || user.gid == (gid_t) -1 || user.home[0] != '/' ||
      user.shell[0] != '/' || !utf8_valid (user.home) || !utf8_valid (user.shell) ||
      (user.name && !utf8_valid (user.name)))
    abort ();
  for (size_t i = 1; i < user.group_count; i++)
    if (user.groups[i] <= user.groups[i - 1])
      abort ();
  return 0;
}
