/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "apk.h"
#include "lookup.h"
#include "output.h"
#include <ctype.h>

/* A value in the text. */
struct slice {
  const char *data;
  size_t len;
};

/* The fields of a package that we want; those of its directories and files come behind them. */
struct paragraph {
  struct slice name;
  struct slice version;
  struct slice size;
  struct slice flags;
  size_t line; /* of its first line; 0 when empty */
};

/* What apk notes with a package that it could not install as a whole ("f:fs"); 'S' is no fault. */
static const struct {
  char flag;
  const char *state;
} faults[] = {
    {'f', "files are broken"},
    {'s', "a script failed"},
    {'x', "attributes are broken"},
};

static const char *state_of (struct slice flags)
{
  for (size_t i = 0; flags.len && i < sizeof faults / sizeof faults[0]; i++)
    if (memchr (flags.data, faults[i].flag, flags.len))
      return faults[i].state;
  return NULL;
}

/* Bytes; 0 for what is no number. */
static uint64_t size_of (struct slice value)
{
  uint64_t size = 0;

  return pkg_read_number (value.data, value.len, &size) ? size : 0;
}

static int add_paragraph (struct pkg_packages *packages, const struct paragraph *paragraph,
                          struct err *err)
{
  if (!paragraph->name.len || !paragraph->version.len)
    return err_code (err, EINVAL, "line %zu: a package without a name or a version",
                     paragraph->line);
  if (pkg_packages_add (packages, paragraph->name.data, paragraph->name.len,
                        paragraph->version.data, paragraph->version.len,
                        state_of (paragraph->flags), size_of (paragraph->size), err) < 0)
    return err_wrap (err, "line %zu", paragraph->line);
  return 0;
}

static int add_line (struct paragraph *paragraph, struct slice line, size_t number, struct err *err)
{
  struct slice value = {line.data + 2, line.len - 2};

  if (line.len < 2 || !isalpha ((unsigned char) line.data[0]) || line.data[1] != ':')
    return err_code (err, EINVAL, "line %zu: \"X:value\" is expected", number);
  if (!paragraph->line)
    paragraph->line = number;
  switch (line.data[0]) {
  case 'P':
    paragraph->name = value;
    break;
  case 'V':
    paragraph->version = value;
    break;
  case 'I':
    paragraph->size = value;
    break;
  case 'f':
    paragraph->flags = value;
    break;
  default:
    break;
  }
  return 0;
}

int apk_installed_parse (const char *text, size_t len, struct pkg_packages *ret_packages,
                         struct err *err)
{
  autopkgpackages struct pkg_packages packages = {0};
  struct paragraph paragraph = {0};
  struct pkg_text lines;
  struct slice line;

  pkg_text_start (text, len, &lines);
  while (pkg_text_line (&lines, &line.data, &line.len)) {
    if (line.len) {
      if (add_line (&paragraph, line, lines.number, err) < 0)
        return -err->code;
    } else if (paragraph.line) {
      if (add_paragraph (&packages, &paragraph, err) < 0)
        return -err->code;
      paragraph = (struct paragraph){0};
    }
  }
  if (paragraph.line && add_paragraph (&packages, &paragraph, err) < 0)
    return -err->code;
  pkg_packages_sort (&packages);
  *ret_packages = packages;
  packages = (struct pkg_packages){0};
  return 0;
}

int apk_installed_read (const int *layers, size_t count, struct pkg_packages *ret_packages,
                        struct err *err)
{
  static const char *const paths[] = {"lib/apk/db/installed", "usr/lib/apk/db/installed", NULL};

  for (const char *const *path = paths; *path; path++) {
    autofree char *text = NULL;
    size_t len = 0;
    int found = pkg_lookup_file (layers, count, *path, APK_INSTALLED_MAX, &text, &len, err);

    if (found < 0)
      return found;
    if (found)
      return apk_installed_parse (text, len, ret_packages, err) < 0 ? err_wrap (err, "%s", *path)
                                                                    : 0;
  }
  *ret_packages = (struct pkg_packages){0};
  return 0;
}
