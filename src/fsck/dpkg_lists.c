/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dpkg_lists.h"
#include "util/banned.h"

#define SUFFIX ".list"
#define NAME_FIRST "abcdefghijklmnopqrstuvwxyz0123456789"

size_t dpkg_list_package (const char *name)
{
  size_t len = strlen (name);
  size_t package = strspn (name, NAME_FIRST "+-.");

  if (len <= strlen (SUFFIX) || strcmp (name + len - strlen (SUFFIX), SUFFIX) != 0 ||
      !strchr (NAME_FIRST, name[0]))
    return 0;
  len -= strlen (SUFFIX);
  if (name[package] == ':')
    package += 1 + strspn (name + package + 1, NAME_FIRST "-");
  else if (package > len)
    package = len;
  return package == len ? len : 0;
}

void dpkg_list_each (const char *text, size_t len,
                     void (*visit) (void *data, const char *path, size_t len), void *data)
{
  while (len) {
    const char *end = memchr (text, '\n', len);
    size_t line = end ? (size_t) (end - text) : len;

    /* "/." is the root. */
    if (line > 1 && text[0] == '/' && !(line == 2 && text[1] == '.'))
      visit (data, text + 1, line - 1);
    line += end != NULL;
    text += line;
    len -= line;
  }
}
