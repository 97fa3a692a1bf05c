/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "apk.h"
#include "output.h"

/* What may be better in a minute; of 2.x, and of 3.x. */
static const char *const network_errors[] = {
    "temporary error (try again later)",
    "network error (check Internet connection and firewall)",
    "could not connect to server",
    "operation timed out",
    "network connection aborted",
    "DNS lookup error",
    "DNS: transient error",
    "Connection timed out",
    "Connection reset by peer",
    "Connection refused",
    "HTTP 5",
    NULL,
};

/* "2 unavailable, 0 stale; 198 distinct packages available": the end of an update that has not
 * reached everything. 2.x exits with 0 all the same. */
static bool is_incomplete (const char *line)
{
  size_t digits = strspn (line, "0123456789");

  return digits && pkg_starts_with (line + digits, " unavailable, ") && strstr (line, " stale; ");
}

static void error_line (const char *line, struct pkg_line *ret_line)
{
  ret_line->weight = PKG_LINE_ERROR;
  ret_line->network = pkg_has_any (line, network_errors);
  ret_line->busy = strstr (line, "Unable to lock database") && strstr (line, "unavailable");
  ret_line->continues = pkg_starts_with (line, "ERROR: unable to select packages:");
  /* "ERROR: bash-5.1.0-r0.post-install: script exited with error 1". Old versions go on and exit
   * with 0. */
  if (strstr (line, "script exited with error") || strstr (line, ": exited with error")) {
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->failed = true;
  }
}

/* "(1/3) " or "( 1/13) ": what follows, or NULL. */
static const char *behind_count (const char *line)
{
  if (*line++ != '(')
    return NULL;
  line += strspn (line, " ");
  size_t digits = strspn (line, "0123456789");
  if (!digits || line[digits] != '/')
    return NULL;
  line += digits + 1;
  digits = strspn (line, "0123456789");
  return digits && pkg_starts_with (line + digits, ") ") ? line + digits + 2 : NULL;
}

void apk_line (const char *line, struct pkg_line *ret_line)
{
  *ret_line = (struct pkg_line){0};
  if (pkg_starts_with (line, "ERROR: ")) {
    error_line (line, ret_line);
  } else if (pkg_starts_with (line, "WARNING: ")) {
    ret_line->weight = PKG_LINE_HINT;
    ret_line->network = pkg_has_any (line, network_errors);
  } else if (is_incomplete (line)) {
    ret_line->failed = true;
  } else if (behind_count (line)) {
    ret_line->units = 1;
  }
}

static const struct {
  const char *word;
  enum pkg_action action;
} actions[] = {
    {"Installing ", PKG_INSTALL},         {"Upgrading ", PKG_UPGRADE},
    {"Downgrading ", PKG_DOWNGRADE},      {"Replacing ", PKG_REINSTALL},
    {"Reinstalling ", PKG_REINSTALL},     {"Purging ", PKG_REMOVE},
    {"Updating pinning ", PKG_CONFIGURE}, {NULL, 0},
};

/* "NAME[@TAG] (VERSION)" or "NAME[@TAG] (OLD -> NEW)". */
static int parse_change (const char *line, enum pkg_action action, struct pkg_changes *changes,
                         struct err *err)
{
  const char *open = strstr (line, " ("), *close = strrchr (line, ')');
  size_t name_len = strcspn (line, "@ ");

  if (!open || !close || close < open + 2 || close[1] || line + strcspn (line, " ") != open)
    return err_code (err, EINVAL, "\"NAME (VERSION)\" is expected");
  const char *old = open + 2, *arrow = strstr (old, " -> ");
  const char *new = arrow &&arrow < close ? arrow + 4 : old;
  size_t old_len = (size_t) ((new != old ? arrow : close) - old);
  size_t new_len = (size_t) (close - new);
  bool removal = action == PKG_REMOVE;

  if (!old_len || !new_len)
    return err_code (err, EINVAL, "a change without a version");
  if (new == old && !removal)
    old = NULL;
  return pkg_changes_add (changes, action, line, name_len, old, old_len, removal ? NULL : new,
                          new_len, err);
}

static int parse_line (const char *line, struct pkg_changes *changes, struct err *err)
{
  const char *change = behind_count (line);

  for (size_t i = 0; change && actions[i].word; i++)
    if (pkg_starts_with (change, actions[i].word))
      return parse_change (change + strlen (actions[i].word), actions[i].action, changes, err);
  return 0;
}

int apk_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err)
{
  struct pkg_text lines;
  const char *start;
  size_t line_len;

  pkg_text_start (text, len, &lines);
  while (pkg_text_line (&lines, &start, &line_len)) {
    autofree char *line = xstrndup (start, line_len);

    if (parse_line (line, changes, err) < 0)
      return err_wrap (err, "what apk would do, line %zu", lines.number);
  }
  return 0;
}
