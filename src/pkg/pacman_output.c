/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pacman.h"
#include "lookup.h"
#include "output.h"

#define LOCAL "var/lib/pacman/local"

static bool has (const char *line, const char *part)
{
  return strstr (line, part) != NULL;
}

/* "error: failed retrieving file 'core.db' from host : why": what the server has not got, or is not
 * there in the guest's own file system, will not be there in a minute. */
static bool may_pass (const char *line)
{
  return !has (line, "returned error: 4") && !has (line, "Couldn't open file");
}

/* Errors whose explanation is in the line behind them. */
static const char *const explained[] = {
    "error: failed to prepare transaction (",
    "error: failed to commit transaction (conflicting files)",
    "error: failed to initialize alpm library:",
    NULL,
};

static void error_line (const char *line, struct pkg_line *ret_line)
{
  ret_line->weight = PKG_LINE_ERROR;
  ret_line->continues = pkg_starts_with_any (line, explained);
  ret_line->busy = has (line, "unable to lock database");
  if (pkg_starts_with (line, "error: failed retrieving file")) {
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->network = may_pass (line);
  } else if (pkg_starts_with (line, "error: command failed to execute correctly") ||
             pkg_starts_with (line, "error: command terminated by signal")) {
    /* An install script, or a hook: pacman goes on, and exits with 0. */
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->failed = true;
  }
}

void pacman_line (const char *line, struct pkg_line *ret_line)
{
  static const char *const changing[] = {
      "installing ", "upgrading ", "reinstalling ", "downgrading ", "removing ", NULL,
  };
  /* What it asks and answers itself has no end of line before the next error. */
  const char *answered = strstr (line, "[Y/n] error: ");

  *ret_line = (struct pkg_line){0};
  if (answered) {
    ret_line->skip = (size_t) (strstr (answered, "error: ") - line);
    line += ret_line->skip;
  }
  if (pkg_starts_with (line, "error: ")) {
    error_line (line, ret_line);
  } else if (pkg_starts_with_any (line, changing) && pkg_ends_with (line, "...")) {
    ret_line->topic = true;
    ret_line->units = 1;
  } else if (pkg_starts_with (line, ":: Running ") && pkg_ends_with (line, "hooks...")) {
    ret_line->topic = true;
  }
}

static bool begins (const char *line, size_t len, const char *start)
{
  return len >= strlen (start) && memcmp (line, start, strlen (start)) == 0;
}

static int parse_change (const char *line, size_t len, bool removal, struct pkg_changes *changes,
                         struct err *err)
{
  const char *at = line + strlen (removal ? "remove " : "install "), *end = line + len;
  const char *name, *version, *more;
  size_t name_len, version_len, more_len;

  if (!pkg_text_word (&at, end, &name, &name_len) ||
      !pkg_text_word (&at, end, &version, &version_len) ||
      pkg_text_word (&at, end, &more, &more_len))
    return err_code (err, EINVAL, "a name and a version are expected");
  return pkg_changes_add (changes, removal ? PKG_REMOVE : PKG_INSTALL, name, name_len,
                          removal ? version : NULL, removal ? version_len : 0,
                          removal ? NULL : version, removal ? 0 : version_len, err);
}

int pacman_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err)
{
  struct pkg_text lines;
  const char *line;
  size_t line_len;

  pkg_text_start (text, len, &lines);
  while (pkg_text_line (&lines, &line, &line_len)) {
    bool removal = begins (line, line_len, "remove ");

    if ((removal || begins (line, line_len, "install ")) &&
        parse_change (line, line_len, removal, changes, err) < 0)
      return err_wrap (err, "what pacman would do, line %zu", lines.number);
  }
  return 0;
}

/* Is the line one of a check that says nothing about the database itself? */
static bool is_harmless (const char *line)
{
  return !*line || pkg_starts_with (line, "warning: ") ||
         (pkg_starts_with (line, "error: missing '") && has (line, "' dependency for '")) ||
         (pkg_starts_with (line, "error: '") && has (line, "' conflicts with '")) ||
         (pkg_starts_with (line, "error: file owned by '") && has (line, "' and '"));
}

bool pacman_is_damaged (const char *output)
{
  struct pkg_text lines;
  const char *line;
  size_t len;
  bool told = false;

  pkg_text_start (output, strlen (output), &lines);
  while (pkg_text_line (&lines, &line, &len)) {
    autofree char *text = xstrndup (line, len);

    if (!is_harmless (text))
      return true;
    told |= pkg_starts_with (text, "error: ");
  }
  return !told;
}

/* Where the version begins in NAME-VERSION-RELEASE, of which only the name may have "-"; or NULL.
 */
static const char *find_version (const char *directory)
{
  const char *at = directory + strlen (directory);

  for (int dashes = 0; at > directory; at--)
    if (at[-1] == '-' && ++dashes == 2)
      return at - 1 > directory && *at != '-' && !pkg_ends_with (directory, "-") ? at : NULL;
  return NULL;
}

int pacman_add_entry (struct pkg_packages *packages, const char *directory, struct err *err)
{
  const char *version = find_version (directory);

  if (!version)
    return 0;
  return pkg_packages_add (packages, directory, (size_t) (version - 1 - directory), version,
                           strlen (version), NULL, 0, err);
}

static int add_entry (void *data, const char *name, struct err *err)
{
  return pacman_add_entry (data, name, err);
}

int pacman_read_installed (const int *layers, size_t count, struct pkg_packages *ret_packages,
                           struct err *err)
{
  autopkglookup struct pkg_lookup local = {0};
  autopkgpackages struct pkg_packages packages = {0};

  if (pkg_lookup_dir (layers, count, LOCAL, &local, err) < 0)
    return -err->code;
  if (pkg_lookup_each_dir (&local, add_entry, &packages, err) < 0)
    return err_wrap (err, LOCAL);
  pkg_packages_sort (&packages);
  *ret_packages = packages;
  packages = (struct pkg_packages){0};
  return 0;
}
