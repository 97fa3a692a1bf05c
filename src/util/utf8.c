/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "utf8.h"
#include <stddef.h>

/* The length of the sequence at @s, or 0 when it is not one. */
static size_t sequence (const unsigned char *s)
{
  size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

  if (s[0] > 0xf4)
    return 0;
  for (size_t i = 1; i < len; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
      (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
    return 0;
  return len;
}

bool utf8_valid (const char *text)
{
  for (const unsigned char *p = (const unsigned char *) text; *p;) {
    size_t len = sequence (p);

    if (!len)
      return false;
    p += len;
  }
  return true;
}
