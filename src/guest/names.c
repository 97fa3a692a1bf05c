/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names.h"
#include "util/json.h"
#include "util/strbuf.h"
#include <ctype.h>
#include <fnmatch.h>

enum { NAMES_MAX = 100000 };

/* Words that a verb or a selection could be mistaken for. */
static const char *const reserved[] = {
    "adopt", "all",    "build", "delete", "enter",    "exec",    "get",     "hashify", "help",
    "info",  "kill",   "list",  "logs",   "none",     "rename",  "restart", "running", "set",
    "start", "status", "stop",  "suexec", "template", "thicken", "vguest",  NULL,
};

static bool name_char (char c)
{
  return isalnum ((unsigned char) c) || c == '.' || c == '_' || c == '-';
}

int name_check (const char *name, const char *kind, struct err *err)
{
  size_t len = strlen (name);

  if (!len)
    return err_code (err, ERR_USAGE, "an empty %s name", kind);
  if (len > NAME_LENGTH_MAX)
    return err_code (err, ERR_USAGE, "the %s name \"%s\" is longer than %d characters", kind, name,
                     NAME_LENGTH_MAX);
  for (const char *p = name; *p; p++)
    if (!name_char (*p))
      return err_code (
          err, ERR_USAGE,
          "bad %s name \"%s\": only letters, digits, \".\", \"_\" and \"-\" are allowed", kind,
          name);
  if (name[0] == '.' || name[0] == '-')
    return err_code (err, ERR_USAGE, "bad %s name \"%s\": it must not begin with \"%c\"", kind,
                     name, name[0]);
  for (const char *const *word = reserved; *word; word++)
    if (strcmp (name, *word) == 0)
      return err_code (err, ERR_USAGE, "\"%s\" is a reserved word and cannot be a %s name", name,
                       kind);
  return 0;
}

int hostname_check (const char *name, struct err *err)
{
  size_t len = strlen (name);
  char before = '.';

  if (!len || len > 64)
    return err_code (err, ERR_USAGE, "the host name \"%s\" must have 1 to 64 characters", name);
  for (const char *p = name;; p++) {
    bool boundary = *p == '.' || !*p;

    if ((!boundary && !isalnum ((unsigned char) *p) && *p != '-') ||
        (boundary && (before == '-' || before == '.')) || (*p == '-' && before == '.'))
      return err_code (err, ERR_USAGE,
                       "bad host name \"%s\": labels of letters, digits and \"-\" are expected",
                       name);
    if (!*p)
      return 0;
    before = *p;
  }
}

void names_release (struct names *names)
{
  int saved = errno;

  for (size_t i = 0; i < names->count; i++)
    free (names->items[i]);
  free (names->items);
  *names = (struct names){0};
  errno = saved;
}

void names_add (struct names *names, const char *name)
{
  /* Doubling at the powers of two keeps adding linear. */
  if ((names->count & (names->count - 1)) == 0)
    names->items =
        xreallocarray (names->items, names->count ? names->count * 2 : 1, sizeof *names->items);
  names->items[names->count++] = xstrdup (name);
}

bool names_has (const struct names *names, const char *name)
{
  for (size_t i = 0; i < names->count; i++)
    if (strcmp (names->items[i], name) == 0)
      return true;
  return false;
}

static int compare_strings (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

void names_sort_unique (struct names *names)
{
  size_t kept = 0;

  if (names->count < 2)
    return;
  qsort (names->items, names->count, sizeof *names->items, compare_strings);
  for (size_t i = 0; i < names->count; i++) {
    if (kept && strcmp (names->items[kept - 1], names->items[i]) == 0)
      free (names->items[i]);
    else
      names->items[kept++] = names->items[i];
  }
  names->count = kept;
}

static int expand_word (const char *before, const char *rest, const char *text, struct names *names,
                        struct err *err);

static int expand_number (const char *before, unsigned long number, int width, const char *after,
                          const char *text, struct names *names, struct err *err)
{
  autofree char *word = xasprintf ("%s%0*lu", before, width, number);

  return expand_word (word, after, text, names, err);
}

/* One "3" or "01-50" of a bracket. @p is left behind it. */
static int expand_item (const char *before, const char **p, const char *after, const char *text,
                        struct names *names, struct err *err)
{
  unsigned long first, last;
  size_t width = strspn (*p, "0123456789");

  if (!width || width > 9)
    return err_code (err, ERR_USAGE, "a number of 1 to 9 digits is expected in the range of \"%s\"",
                     text);
  first = last = strtoul (*p, NULL, 10);
  *p += width;
  if (**p == '-') {
    (*p)++;
    size_t digits = strspn (*p, "0123456789");
    if (!digits || digits > 9)
      return err_code (err, ERR_USAGE, "a number is expected behind \"-\" in \"%s\"", text);
    last = strtoul (*p, NULL, 10);
    *p += digits;
  }
  if (last < first)
    return err_code (err, ERR_USAGE, "the range %lu-%lu in \"%s\" runs backwards", first, last,
                     text);
  for (unsigned long n = first; n <= last; n++)
    if (expand_number (before, n, (int) width, after, text, names, err) < 0)
      return -err->code;
  return 0;
}

/* Brackets with digits first are ranges; others ("[ab]*") are left to fnmatch. */
static const char *find_range (const char *s)
{
  for (; (s = strchr (s, '[')) != NULL; s++)
    if (isdigit ((unsigned char) s[1]) && strchr (s, ']'))
      return s;
  return NULL;
}

static int expand_word (const char *before, const char *rest, const char *text, struct names *names,
                        struct err *err)
{
  const char *open = find_range (rest);

  if (!open) {
    autofree char *word = xasprintf ("%s%s", before, rest);

    if (names->count >= NAMES_MAX)
      return err_code (err, ERR_USAGE, "\"%.60s\" is more than %d names", text, NAMES_MAX);
    if (!*word)
      return err_code (err, ERR_USAGE, "an empty name in \"%s\"", text);
    names_add (names, word);
    return 0;
  }
  const char *close = strchr (open, ']');
  autofree char *head = xasprintf ("%s%.*s", before, (int) (open - rest), rest);
  const char *p = open + 1;
  for (;;) {
    if (expand_item (head, &p, close + 1, text, names, err) < 0)
      return -err->code;
    if (p == close)
      return 0;
    if (*p != ',')
      return err_code (err, ERR_USAGE, "\"%c\" is not expected in the range of \"%s\"", *p, text);
    p++;
  }
}

int names_expand (const char *text, struct names *names, struct err *err)
{
  const char *start = text;
  bool inside = false;

  for (const char *p = text;; p++) {
    if (*p == '[')
      inside = true;
    else if (*p == ']')
      inside = false;
    if (*p && (*p != ',' || inside))
      continue;
    autofree char *word = xstrndup (start, (size_t) (p - start));
    if (expand_word ("", word, text, names, err) < 0)
      return -err->code;
    if (!*p)
      return 0;
    start = p + 1;
  }
}

void selection_release (struct selection *selection)
{
  names_release (&selection->patterns);
  names_release (&selection->exclude);
}

static bool is_glob (const char *word)
{
  return strpbrk (word, "*?[") != NULL;
}

static int no_such_guest (const char *word, const struct names *existing, struct err *err)
{
  autofree const char **known = xcalloc (existing->count + 1, sizeof *known);

  for (size_t i = 0; i < existing->count; i++)
    known[i] = existing->items[i];
  const char *near = nearest_word (word, known);
  if (near)
    return err_code (err, ERR_NO_GUEST, "no guest is called \"%s\"; did you mean \"%s\"?", word,
                     near);
  return err_code (err, ERR_NO_GUEST, "no guest is called \"%s\"", word);
}

static int add_matches (const char *word, const struct names *existing, struct names *matches,
                        struct err *err)
{
  bool found = false;

  if (!is_glob (word)) {
    const char *key = word;

    if (!existing->count ||
        !bsearch (&key, existing->items, existing->count, sizeof *existing->items, compare_strings))
      return no_such_guest (word, existing, err);
    names_add (matches, word);
    return 0;
  }
  for (size_t i = 0; i < existing->count; i++)
    if (fnmatch (word, existing->items[i], FNM_PERIOD) == 0) {
      names_add (matches, existing->items[i]);
      found = true;
    }
  if (!found)
    return err_code (err, ERR_NO_GUEST, "no guest matches \"%s\"", word);
  return 0;
}

static bool excluded (const char *name, const struct names *patterns)
{
  for (size_t i = 0; i < patterns->count; i++)
    if (fnmatch (patterns->items[i], name, FNM_PERIOD) == 0)
      return true;
  return false;
}

static int expand_all (const struct names *texts, struct names *ret_words, struct err *err)
{
  for (size_t i = 0; i < texts->count; i++)
    if (names_expand (texts->items[i], ret_words, err) < 0)
      return -err->code;
  return 0;
}

int selection_resolve (const struct selection *selection, const struct names *existing,
                       struct names *ret_names, struct err *err)
{
  autonames struct names words = {0}, exclude = {0}, matches = {0};

  if (!selection->all && !selection->patterns.count)
    return err_code (err, ERR_USAGE, "no guests are selected: name some, or say --all");
  if (expand_all (&selection->patterns, &words, err) < 0 ||
      expand_all (&selection->exclude, &exclude, err) < 0)
    return -err->code;
  if (selection->all && !existing->count)
    return err_code (err, ERR_NO_GUEST, "there are no guests yet: make one with vguest NAME build");
  if (selection->all)
    for (size_t i = 0; i < existing->count; i++)
      names_add (&matches, existing->items[i]);
  for (size_t i = 0; i < words.count; i++)
    if (add_matches (words.items[i], existing, &matches, err) < 0)
      return -err->code;
  names_sort_unique (&matches);
  for (size_t i = 0; i < matches.count; i++)
    if (!excluded (matches.items[i], &exclude))
      names_add (ret_names, matches.items[i]);
  if (!ret_names->count)
    return err_code (err, ERR_NO_GUEST, "--exclude leaves none of %zu selected guests",
                     matches.count);
  return 0;
}
