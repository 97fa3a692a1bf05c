/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"
#include <ctype.h>

bool pkg_starts_with_any (const char *line, const char *const *starts)
{
  while (*starts && !pkg_starts_with (line, *starts))
    starts++;
  return *starts != NULL;
}

bool pkg_has_any (const char *line, const char *const *parts)
{
  while (*parts && !strstr (line, *parts))
    parts++;
  return *parts != NULL;
}

bool pkg_ends_with (const char *line, const char *end)
{
  size_t len = strlen (line), end_len = strlen (end);

  return len >= end_len && strcmp (line + len - end_len, end) == 0;
}

bool pkg_read_number (const char *text, size_t len, uint64_t *ret_number)
{
  uint64_t number = 0;

  if (!len || len > 18)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!isdigit ((unsigned char) text[i]))
      return false;
    number = number * 10 + (uint64_t) (text[i] - '0');
  }
  *ret_number = number;
  return true;
}

static bool is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

bool pkg_output_word (const char **at, const char *end, const char **ret_word, size_t *ret_len)
{
  while (*at < end && is_blank (**at))
    ++*at;
  *ret_word = *at;
  while (*at < end && !is_blank (**at))
    ++*at;
  *ret_len = (size_t) (*at - *ret_word);
  return *ret_len > 0;
}

bool pkg_word_is (const char *word, size_t len, const char *text)
{
  return strlen (text) == len && memcmp (word, text, len) == 0;
}
