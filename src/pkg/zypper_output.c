/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpm.h"
#include "output.h"
#include "xmltags.h"
#include "zypper.h"
#include <ctype.h>

/* "Warning: x %posttrans script failed (returned 1)": libzypp runs those itself. */
static bool is_failed_scriptlet (const char *line)
{
  return strchr (line, '%') && strstr (line, " script failed (returned ");
}

static const char *const causes[] = {"Problem: ", "Error message: ", NULL};

static const char *const errors[] = {"Error: ",
                                     "Download (curl) error for",
                                     "Detected ",
                                     "Could not refresh",
                                     "No provider of ",
                                     "Installation of ",
                                     "Removal of ",
                                     "Repository '",
                                     NULL};

static const char *const hints[] = {"Problem occurred",
                                    "Installation has completed with error",
                                    "Error building the cache",
                                    "There are no enabled repositories",
                                    "Warning: There are no enabled repositories",
                                    NULL};

static const char *const network[] = {"Error code: Connection failed", "Timeout exceeded when",
                                      "Error message: Could not resolve host", NULL};

/* "Detected 1 file conflict:", "Installation of x failed:", "Repository 'x' is invalid.": their
 * beginnings alone are no errors. */
static bool is_error (const char *line)
{
  if (!pkg_starts_with_any (line, errors))
    return false;
  if (pkg_starts_with (line, "Detected "))
    return strstr (line, "file conflict") != NULL;
  if (pkg_starts_with (line, "Installation of ") || pkg_starts_with (line, "Removal of "))
    return pkg_ends_with (line, " failed:");
  if (pkg_starts_with (line, "Repository '"))
    return pkg_ends_with (line, "is invalid.");
  return true;
}

/* "(1/2) Installing: x-1-1.noarch [..done]", "(2/2) Removing x-1-1.noarch [..done]" */
static bool is_step (const char *line)
{
  const char *text = strstr (line, ") ");

  if (line[0] != '(' || !isdigit ((unsigned char) line[1]) || !text)
    return false;
  return pkg_starts_with (text, ") Installing: ") || pkg_starts_with (text, ") Removing");
}

void zypper_line (const char *line, struct pkg_line *ret_line)
{
  rpm_line (line, ret_line);
  if (is_failed_scriptlet (line)) {
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->failed = true;
  } else if (pkg_starts_with_any (line, causes)) {
    ret_line->weight = PKG_LINE_CAUSE;
  } else if (is_error (line)) {
    ret_line->weight = PKG_LINE_ERROR;
    ret_line->continues = pkg_ends_with (line, ":");
  } else if (pkg_starts_with_any (line, hints)) {
    ret_line->weight = PKG_LINE_HINT;
  } else if (pkg_starts_with (line, "System management is locked")) {
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->busy = true;
  }
  ret_line->network |= pkg_starts_with_any (line, network);
  ret_line->units = is_step (line);
}

static const struct {
  const char *tag;
  enum pkg_action action;
} sections[] = {
    {"to-install", PKG_INSTALL},       {"to-upgrade", PKG_UPGRADE}, {"to-downgrade", PKG_DOWNGRADE},
    {"to-reinstall", PKG_REINSTALL},   {"to-remove", PKG_REMOVE},   {"to-change-arch", PKG_UPGRADE},
    {"to-change-vendor", PKG_UPGRADE},
};

enum { NO_SECTION = -1 };

/* Of a tag that opens or closes a section: its index. Others change nothing. */
static int next_section (const struct xml_tag *tag, int section)
{
  for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
    if (xml_tag_is (tag, sections[i].tag))
      return tag->closes ? NO_SECTION : (int) i;
  return section;
}

static int add_change (enum pkg_action action, const char *name, const char *arch, const char *old,
                       const char *new, struct pkg_changes *changes, struct err *err)
{
  autofree char *key = xasprintf ("%s.%s", name, arch);

  return pkg_changes_add (changes, action, key, strlen (key), old, old ? strlen (old) : 0, new,
                          new ? strlen (new) : 0, err);
}

static int add_solvable (const struct xml_tag *tag, enum pkg_action action,
                         struct pkg_changes *changes, struct err *err)
{
  const char *type = xml_attribute (tag, "type"), *name = xml_attribute (tag, "name");
  const char *edition = xml_attribute (tag, "edition"), *arch = xml_attribute (tag, "arch");
  const char *old = xml_attribute (tag, "edition-old"), *old_arch = xml_attribute (tag, "arch-old");

  if (!type || strcmp (type, "package") != 0)
    return 0;
  if (!name || !edition || !arch || !*edition)
    return err_code (err, EINVAL, "a package without a name, an edition or an architecture");
  if (action == PKG_REMOVE)
    return add_change (action, name, arch, edition, NULL, changes, err);
  /* With another architecture it is another package by its key. */
  if (old && old_arch && strcmp (arch, old_arch) != 0)
    return add_change (PKG_REMOVE, name, old_arch, old, NULL, changes, err) < 0 ||
                   add_change (PKG_INSTALL, name, arch, NULL, edition, changes, err) < 0
               ? -err->code
               : 0;
  return add_change (action, name, arch, old, edition, changes, err);
}

int zypper_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err)
{
  autoxmltag struct xml_tag tag = {0};
  struct xml_tags tags;
  int section = NO_SECTION, more;

  xml_tags_start (text, len, &tags);
  while ((more = xml_tags_next (&tags, &tag, err)) > 0) {
    section = next_section (&tag, section);
    if (section != NO_SECTION && tag.opens && xml_tag_is (&tag, "solvable") &&
        add_solvable (&tag, sections[section].action, changes, err) < 0)
      return err_wrap (err, "what zypper would do, line %zu", tags.line);
  }
  return more < 0 ? err_wrap (err, "what zypper would do") : 0;
}

char *zypper_explain (const char *output)
{
  autoxmltag struct xml_tag tag = {0};
  autoerr struct err err = {0};
  struct xml_tags tags;
  char *text = NULL;

  xml_tags_start (output, strlen (output), &tags);
  while (!text && xml_tags_next (&tags, &tag, &err) > 0) {
    const char *type = xml_tag_is (&tag, "message") ? xml_attribute (&tag, "type") : NULL;

    /* What cannot be read explains nothing. */
    if (tag.opens && type && strcmp (type, "error") == 0 && xml_text (&tags, &text, &err) < 0)
      break;
  }
  return text;
}
