/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What rpm prints, by way of any manager. */
#include "rpm.h"
#include "output.h"
#include <ctype.h>

/* Errors of libcurl that may be better in a minute: of names, connections, times. */
static bool passes (unsigned long number)
{
  static const unsigned char numbers[] = {5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92};

  for (size_t i = 0; i < sizeof numbers; i++)
    if (numbers[i] == number)
      return true;
  return false;
}

bool rpm_is_curl_error (const char *line)
{
  /* dnf, zypper; yum of version 3. */
  static const char *const starts[] = {"Curl error (", "Curl error ", "curl#"};

  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    const char *found = strstr (line, starts[i]);

    if (found && isdigit ((unsigned char) found[strlen (starts[i])]))
      return passes (strtoul (found + strlen (starts[i]), NULL, 10));
  }
  return false;
}

/* "%post(name-1-1.noarch) scriptlet failed, exit status 1", behind "warning: " where rpm goes on
 * and "error: " where it does not; and of scriptlets in Lua. */
static bool is_failed_scriptlet (const char *line)
{
  return (strstr (line, " scriptlet failed, ") && strchr (line, '%')) ||
         strstr (line, "lua script failed: [string \"%");
}

void rpm_line (const char *line, struct pkg_line *ret_line)
{
  *ret_line = (struct pkg_line){0};
  if (is_failed_scriptlet (line)) {
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->failed = true;
  } else if (pkg_starts_with (line, "error: ")) {
    bool unpacking = pkg_starts_with (line, "error: unpacking of archive failed");

    ret_line->weight = unpacking ? PKG_LINE_CAUSE : PKG_LINE_ERROR;
    ret_line->continues = pkg_ends_with (line, ":");
    ret_line->busy = strstr (line, "can't create transaction lock") != NULL;
  } else if (line[0] == '\t' && line[1]) {
    /* Problems of a transaction: "\tpackage … is already installed". */
    ret_line->weight = PKG_LINE_HINT;
  }
  ret_line->network = rpm_is_curl_error (line);
}

static int parse_package (const char *line, size_t len, struct pkg_packages *packages,
                          struct err *err)
{
  const char *end = line + len;
  const char *version = memchr (line, '\t', len);
  const char *size_text = version ? memchr (version + 1, '\t', (size_t) (end - version - 1)) : NULL;
  uint64_t size;

  if (!size_text || !pkg_read_number (size_text + 1, (size_t) (end - size_text - 1), &size))
    return err_code (err, EINVAL, "\"NAME.ARCH VERSION SIZE\" is expected");
  return pkg_packages_add (packages, line, (size_t) (version - line), version + 1,
                           (size_t) (size_text - version - 1), NULL, size, err);
}

int rpm_parse_installed (const char *text, size_t len, struct pkg_packages *ret_packages,
                         struct err *err)
{
  autopkgpackages struct pkg_packages packages = {0};
  struct pkg_text lines;
  const char *line;
  size_t line_len;

  pkg_text_start (text, len, &lines);
  while (pkg_text_line (&lines, &line, &line_len))
    if (line_len && parse_package (line, line_len, &packages, err) < 0)
      return err_wrap (err, "the packages that rpm has, line %zu", lines.number);
  pkg_packages_sort (&packages);
  *ret_packages = packages;
  packages = (struct pkg_packages){0};
  return 0;
}
