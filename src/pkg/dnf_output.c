/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dnf.h"
#include "rpm.h"
#include "output.h"
#include <ctype.h>

/* "Error in POSTIN scriptlet in rpm package x", of dnf 4; "Non-fatal POSTIN scriptlet failure in
 * rpm package x" of older ones; ">>> Non-critical error in %post scriptlet: x" of dnf 5. */
static bool is_failed_scriptlet (const char *line)
{
  const char *text = pkg_starts_with (line, ">>> ") ? line + 4 : line;

  return (pkg_starts_with (text, "Error in ") || pkg_starts_with (text, "Non-fatal ") ||
          pkg_starts_with (text, "Non-critical error in ")) &&
         strstr (text, " scriptlet");
}

static const char *const errors[] = {"Error: ",
                                     "Failed to ",
                                     "Cannot ",
                                     "No match for argument",
                                     "Error unpacking ",
                                     "Problem opening package",
                                     NULL};

/* Lines that only point to others. */
static bool is_pointer (const char *line)
{
  return strcmp (line, "Error: ") == 0 || pkg_starts_with (line, "Error: Transaction failed") ||
         pkg_starts_with (line, "Transaction failed: ");
}

static const char *const busy[] = {"Waiting for process with pid", "Existing lock ",
                                   "Another app is currently holding the yum lock", NULL};

/* "  Upgrading        : x-1-1.noarch   1/2" of dnf 4, "  Updating   : …" of yum, "[2/4] Upgrading
 * x-0:1-1.noarch   100% | …" of dnf 5, "Updating: …" of microdnf. */
static bool is_step (const char *line)
{
  static const char *const verbs[] = {"Installing",  "Upgrading", "Updating", "Reinstalling",
                                      "Downgrading", "Erasing",   "Removing", NULL};
  const char *text = line + strspn (line, " ");

  if (text[0] == '[' && isdigit ((unsigned char) text[1])) {
    text = strchr (text, ']');
    if (!text || text[1] != ' ')
      return false;
    return pkg_starts_with_any (text + 2, verbs);
  }
  if (!pkg_starts_with_any (text, verbs))
    return false;
  text += strcspn (text, " :");
  text += strspn (text, " ");
  return text[0] == ':' && text[1] == ' ';
}

void dnf_line (const char *line, struct pkg_line *ret_line)
{
  rpm_line (line, ret_line);
  if (is_failed_scriptlet (line)) {
    ret_line->weight = PKG_LINE_ERROR;
    ret_line->failed = true;
  } else if (is_pointer (line)) {
    ret_line->weight = PKG_LINE_HINT;
  } else if (pkg_starts_with_any (line, errors)) {
    ret_line->weight = PKG_LINE_ERROR;
    ret_line->continues = pkg_ends_with (line, ":");
  } else if (pkg_starts_with (line + strspn (line, " "), "Problem")) {
    /* " Problem: conflicting requests", and behind it "  - nothing provides …". */
    ret_line->weight = PKG_LINE_CAUSE;
    ret_line->continues = true;
  }
  ret_line->network |= strstr (line, "Status code: 5") != NULL;
  if (pkg_starts_with (line, "  - Curl error") || pkg_starts_with (line, "  - Status code"))
    ret_line->weight = PKG_LINE_CAUSE;
  ret_line->busy |= pkg_starts_with_any (line, busy);
  ret_line->units = is_step (line);
}

static const char summary[] = "Transaction Summary";

bool dnf_has_plan (const char *text)
{
  struct pkg_text lines;
  const char *line;
  size_t len;

  pkg_text_start (text, strlen (text), &lines);
  while (pkg_text_line (&lines, &line, &len))
    if (len >= sizeof summary - 1 && memcmp (line, summary, sizeof summary - 1) == 0)
      return true;
  return false;
}

/* A table is made of sections, "Upgrading:", with rows: a name, an architecture, a version, a
 * repository and a size. */
static const struct {
  const char *title;
  enum pkg_action action;
} sections[] = {
    {"Installing", PKG_INSTALL},
    {"Installing dependencies", PKG_INSTALL},
    {"Installing for dependencies", PKG_INSTALL},
    {"Installing weak dependencies", PKG_INSTALL},
    {"Installing group packages", PKG_INSTALL},
    {"Installing group/module packages", PKG_INSTALL},
    {"Upgrading", PKG_UPGRADE},
    {"Updating", PKG_UPGRADE},
    {"Updating for dependencies", PKG_UPGRADE},
    {"Reinstalling", PKG_REINSTALL},
    {"Downgrading", PKG_DOWNGRADE},
    {"Removing", PKG_REMOVE},
    {"Removing for dependencies", PKG_REMOVE},
    {"Removing dependent packages", PKG_REMOVE},
    {"Removing unused dependencies", PKG_REMOVE},
};

enum { ROW_WORDS = 8 };

struct word {
  const char *text;
  size_t len;
};

struct table {
  struct pkg_changes *changes;
  bool begun;      /* the header was there */
  bool in_section; /* of packages that change */
  enum pkg_action action;
  struct word row[ROW_WORDS]; /* which may go over several lines */
  size_t words;
  size_t added; /* changes->count behind the last row; 0: none that an older version belongs to */
};

/* "name.arch" of two words; the caller's. */
static char *join_name (const struct word *name, const struct word *arch)
{
  return xasprintf ("%.*s.%.*s", (int) name->len, name->text, (int) arch->len, arch->text);
}

static int add_change (struct table *table, enum pkg_action action, const char *name,
                       const struct word *version, struct err *err)
{
  bool removal = action == PKG_REMOVE;

  return pkg_changes_add (table->changes, action, name, strlen (name),
                          removal ? version->text : NULL, version->len,
                          removal ? NULL : version->text, version->len, err);
}

/* The row is complete: adds its change. */
static int end_row (struct table *table, struct err *err)
{
  size_t words = table->words;

  table->words = 0;
  if (!words || !table->in_section)
    return 0;
  if (words < 3)
    return err_code (err, EINVAL, "a change without a version");
  if (table->row[0].len + table->row[1].len > PKG_WORD_MAX)
    return err_code (err, EINVAL, "a bad name of a package");
  autofree char *name = join_name (&table->row[0], &table->row[1]);
  if (add_change (table, table->action, name, &table->row[2], err) < 0)
    return -err->code;
  table->added = table->changes->count;
  return 0;
}

static bool is_version (const struct word *word)
{
  return memchr (word->text, '-', word->len) != NULL;
}

/* What the row before replaces: a package of the same name, which is the old version then, or
 * another, which is removed. */
static int replace (struct table *table, const struct word *words, size_t count, struct err *err)
{
  struct pkg_change *change = table->added ? &table->changes->items[table->added - 1] : NULL;

  if (!change)
    return err_code (err, EINVAL, "something is replaced by nothing");
  /* dnf 4: "name.arch version". */
  if (count == 2) {
    autofree char *name = xstrndup (words[0].text, words[0].len);

    return add_change (table, PKG_REMOVE, name, &words[1], err);
  }
  if (count < 2)
    return err_code (err, EINVAL, "something is replaced that has no version");
  /* dnf 5: "arch version …" of the same name, or "name arch version …". */
  const struct word *version = is_version (&words[1]) ? &words[1] : &words[2];
  autofree char *name = version == &words[2] ? join_name (&words[0], &words[1]) : NULL;
  if (name && strcmp (name, change->name) != 0)
    return add_change (table, PKG_REMOVE, name, version, err);
  if (!version->len || version->len > PKG_WORD_MAX)
    return err_code (err, EINVAL, "a bad version of a package");
  free (change->old_version);
  change->old_version = xstrndup (version->text, version->len);
  return 0;
}

static void begin_section (struct table *table, const char *line, size_t len)
{
  table->in_section = false;
  table->added = 0;
  while (len && line[len - 1] == ' ')
    len--;
  for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
    if (len && line[len - 1] == ':' && pkg_word_is (line, len - 1, sections[i].title)) {
      table->in_section = true;
      table->action = sections[i].action;
    }
}

/* One blank begins a row; more of them what belongs to the one before. */
static int read_row (struct table *table, const char *line, size_t len, struct err *err)
{
  const char *at = line, *end = line + len;
  struct word words[ROW_WORDS] = {0};
  size_t count = 0;

  while (count < ROW_WORDS && pkg_output_word (&at, end, &words[count].text, &words[count].len))
    count++;
  bool replaces = count && pkg_word_is (words[0].text, words[0].len, "replacing");
  if (!count)
    return 0;
  if ((line[1] != ' ' || replaces) && end_row (table, err) < 0)
    return -err->code;
  if (replaces)
    return replace (table, words + 1, count - 1, err);
  for (size_t i = 0; i < count && table->words < ROW_WORDS; i++)
    table->row[table->words++] = words[i];
  return 0;
}

static bool is_header (const char *line, size_t len)
{
  const char *at = line, *end = line + len, *word;
  size_t word_len;

  return pkg_output_word (&at, end, &word, &word_len) && pkg_word_is (word, word_len, "Package") &&
         pkg_output_word (&at, end, &word, &word_len) && word_len >= 4 &&
         memcmp (word, "Arch", 4) == 0;
}

/* Returns 1 at the end of the table. */
static int read_line (struct table *table, const char *line, size_t len, struct err *err)
{
  if (!table->begun) {
    table->begun = is_header (line, len);
    return 0;
  }
  if (len && *line == ' ')
    return table->in_section ? read_row (table, line, len, err) : 0;
  if (end_row (table, err) < 0)
    return -err->code;
  begin_section (table, line, len);
  return len >= sizeof summary - 1 && memcmp (line, summary, sizeof summary - 1) == 0;
}

int dnf_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err)
{
  struct table table = {.changes = changes};
  struct pkg_text lines;
  const char *line;
  size_t line_len;
  int done = 0;

  pkg_text_start (text, len, &lines);
  while (!done && pkg_text_line (&lines, &line, &line_len)) {
    done = read_line (&table, line, line_len, err);
    if (done < 0)
      return err_wrap (err, "what dnf would do, line %zu", lines.number);
  }
  if (end_row (&table, err) < 0)
    return err_wrap (err, "what dnf would do, at its end");
  return 0;
}
