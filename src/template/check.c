/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"
#include <stdarg.h>

void check_release (struct check *check)
{
  int saved = errno;

  for (size_t i = 0; i < check->count; i++) {
    free (check->problems[i].path);
    free (check->problems[i].text);
  }
  free (check->problems);
  strbuf_release (&check->path);
  *check = (struct check) CHECK_INIT;
  errno = saved;
}

size_t check_enter (struct check *check, const char *key)
{
  size_t mark = check->path.len;

  strbuf_addf (&check->path, "%s%s", mark ? "." : "", key);
  return mark;
}

size_t check_enter_item (struct check *check, const char *key, size_t index)
{
  size_t mark = check_enter (check, key);

  strbuf_addf (&check->path, "[%zu]", index);
  return mark;
}

void check_leave (struct check *check, size_t mark)
{
  strbuf_truncate (&check->path, mark);
}

void check_add (struct check *check, const char *key, const char *format, ...)
{
  size_t mark = key ? check_enter (check, key) : check->path.len;
  char *text = NULL;
  va_list ap;

  va_start (ap, format);
  int ret = vasprintf (&text, format, ap);
  va_end (ap);
  if (ret < 0)
    err_out_of_memory ();
  check->problems = xreallocarray (check->problems, check->count + 1, sizeof *check->problems);
  check->problems[check->count++] =
      (struct check_problem){.path = xstrdup (strbuf_str (&check->path)), .text = text};
  check_leave (check, mark);
}

static size_t count_words (const char *const *words)
{
  size_t count = 0;

  while (words && words[count])
    count++;
  return count;
}

static bool has_word (const char *const *words, const char *word)
{
  for (; words && *words; words++)
    if (strcmp (*words, word) == 0)
      return true;
  return false;
}

void check_keys (struct check *check, json_object *object, const char *const *keys,
                 const char *const *more)
{
  size_t first = count_words (keys), second = count_words (more);
  autofree const char **known = xcalloc (first + second + 1, sizeof *known);

  if (first)
    memcpy (known, keys, first * sizeof *keys);
  if (second)
    memcpy (known + first, more, second * sizeof *more);
  json_object_object_foreach (object, key, value)
  {
    (void) value;
    if (has_word (known, key))
      continue;
    const char *near = nearest_word (key, known);
    if (near)
      check_add (check, NULL, "unknown key \"%.60s\"; did you mean \"%s\"?", key, near);
    else
      check_add (check, NULL, "unknown key \"%.60s\"", key);
  }
}

/* The member, of a type; NULL when it is missing or wrong, which is noted. */
static json_object *member (struct check *check, json_object *object, const char *key,
                            json_type type, const char *is, bool needed)
{
  json_object *value = json_object_object_get (object, key);

  if (!value) {
    if (needed)
      check_add (check, key, "is missing: %s", is);
    return NULL;
  }
  if (!json_object_is_type (value, type)) {
    check_add (check, key, "must be %s", is);
    return NULL;
  }
  return value;
}

/* Is it a text that can be used as a C string? */
static bool is_text (json_object *value)
{
  const char *text = json_object_get_string (value);
  size_t len = (size_t) json_object_get_string_len (value);

  return len && strlen (text) == len;
}

const char *check_string (struct check *check, json_object *object, const char *key, bool needed)
{
  json_object *value = member (check, object, key, json_type_string, "a string", needed);

  if (value && !is_text (value)) {
    check_add (check, key, "must be a string that is not empty, without NUL");
    return NULL;
  }
  return value ? json_object_get_string (value) : NULL;
}

bool check_bool (struct check *check, json_object *object, const char *key, bool fallback)
{
  json_object *value = member (check, object, key, json_type_boolean, "true or false", false);

  return value ? json_object_get_boolean (value) : fallback;
}

json_object *check_object (struct check *check, json_object *object, const char *key, bool needed)
{
  return member (check, object, key, json_type_object, "an object", needed);
}

/* "12", "3G": powers of 1024. */
static bool parse_size (const char *text, uint64_t *ret_size)
{
  static const char units[] = "KMGT";
  uint64_t size = 0;
  size_t digits = strspn (text, "0123456789");
  const char *unit = text[digits] ? strchr (units, text[digits]) : NULL;

  if (!digits || digits > 15 || (text[digits] && (!unit || text[digits + 1])))
    return false;
  for (size_t i = 0; i < digits; i++)
    size = size * 10 + (uint64_t) (text[i] - '0');
  for (const char *p = units; unit && p <= unit; p++) {
    if (size > INT64_MAX / 1024)
      return false;
    size *= 1024;
  }
  *ret_size = size;
  return true;
}

uint64_t check_size (struct check *check, json_object *object, const char *key, uint64_t fallback)
{
  json_object *value = json_object_object_get (object, key);
  uint64_t size = 0;

  if (!value)
    return fallback;
  if (json_object_is_type (value, json_type_int) && json_object_get_int64 (value) > 0)
    return (uint64_t) json_object_get_int64 (value);
  if (json_object_is_type (value, json_type_string) &&
      parse_size (json_object_get_string (value), &size) && size)
    return size;
  check_add (check, key, "must be a size, such as 1000000 or \"8G\"");
  return fallback;
}

json_object *check_strings (struct check *check, json_object *object, const char *key)
{
  json_object *list = member (check, object, key, json_type_array, "a list of strings", false);
  bool good = true;

  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    json_object *item = json_object_array_get_idx (list, i);

    if (json_object_is_type (item, json_type_string) && is_text (item))
      continue;
    size_t mark = check_enter_item (check, key, i);
    check_add (check, NULL, "must be a string that is not empty, without NUL");
    check_leave (check, mark);
    good = false;
  }
  return good ? list : NULL;
}

const char *check_word (struct check *check, json_object *object, const char *key,
                        const char *const *words, const char *fallback)
{
  const char *word = check_string (check, object, key, false);
  autostrbuf struct strbuf list = STRBUF_INIT (4096);

  if (!word)
    return fallback;
  for (const char *const *known = words; *known; known++) {
    if (strcmp (*known, word) == 0)
      return *known;
    strbuf_addf (&list, "%s%s", known == words ? "" : known[1] ? ", " : " or ", *known);
  }
  check_add (check, key, "must be %s, not \"%.60s\"", strbuf_str (&list), word);
  return fallback;
}

int check_result (const struct check *check, const char *what, struct err *err)
{
  if (!check->count)
    return 0;
  const struct check_problem *first = check->problems;
  const char *colon = *first->path ? ": " : "";

  if (check->count == 1)
    return err_code (err, ERR_USAGE, "%s: %s%s%s", what, first->path, colon, first->text);
  return err_code (err, ERR_USAGE,
                   "%s: %s%s%s (and %zu more; \"vtemplate check\" shows all of a file)", what,
                   first->path, colon, first->text, check->count - 1);
}
