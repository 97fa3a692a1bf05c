/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"
#include "fd.h"
#include "strbuf.h"

enum { JSON_FILE_MAX = 4 << 20 };

int json_parse_value (const char *text, size_t len, const char *what, json_object **ret_value,
                      struct err *err)
{
  if (len > JSON_FILE_MAX)
    return err_code (err, ERR_USAGE, "%s is larger than %d bytes", what, JSON_FILE_MAX);
  json_tokener *tokener = json_tokener_new ();
  if (!tokener)
    err_out_of_memory ();
  autojson json_object *object = json_tokener_parse_ex (tokener, text, (int) len);
  enum json_tokener_error status = json_tokener_get_error (tokener);
  size_t end = json_tokener_get_parse_end (tokener);
  /* A comment behind the closing brace leaves the parser waiting: a NUL tells it the end. */
  if (status == json_tokener_continue) {
    object = json_tokener_parse_ex (tokener, "", 1);
    status = json_tokener_get_error (tokener);
    end = len;
  }
  json_tokener_free (tokener);

  if (status != json_tokener_success) {
    int line = 1;

    for (size_t i = 0; i < end && i < len; i++)
      line += text[i] == '\n';
    return err_code (err, ERR_USAGE, "%s, line %d: %s", what, line,
                     status == json_tokener_error_parse_eof ? "unexpected end"
                                                            : json_tokener_error_desc (status));
  }
  for (; end < len; end++)
    if (!strchr (" \t\r\n", text[end]))
      return err_code (err, ERR_USAGE, "%s: something follows the end of it", what);
  *ret_value = steal_ptr (&object);
  return 0;
}

int json_parse_object (const char *text, size_t len, const char *what, json_object **ret_object,
                       struct err *err)
{
  autojson json_object *object = NULL;

  if (json_parse_value (text, len, what, &object, err) < 0)
    return -err->code;
  if (!json_object_is_type (object, json_type_object))
    return err_code (err, ERR_USAGE, "%s: a JSON object is expected", what);
  *ret_object = steal_ptr (&object);
  return 0;
}

int json_read_file (int dir_fd, const char *name, const char *what, json_object **ret_object,
                    struct err *err)
{
  autofree char *text = NULL;
  size_t len;

  if (fd_read_file (dir_fd, name, JSON_FILE_MAX, &text, &len, err) < 0)
    return err_wrap (err, "%s", what);
  return json_parse_object (text, len, what, ret_object, err);
}

/* The text that is written to files: the caller's. */
static char *file_text (json_object *object)
{
  const char *text = json_object_to_json_string_ext (
      object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);

  if (!text)
    err_out_of_memory ();
  return xasprintf ("%s\n", text);
}

int json_write_file (int dir_fd, const char *name, json_object *object, struct err *err)
{
  autofree char *text = file_text (object);

  return fd_write_file (dir_fd, name, text, strlen (text), 0600, err);
}

int json_create_file (int dir_fd, const char *name, json_object *object, struct err *err)
{
  autofree char *text = file_text (object);
  autoclose int fd = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

  if (fd < 0)
    return err_errno (err, "create %s", name);
  if (fd_write_all (fd, text, strlen (text)) < 0)
    return err_errno (err, "write %s", name);
  return 0;
}

static size_t edit_distance (const char *a, const char *b)
{
  size_t n = strlen (b), result;
  autofree size_t *row = xcalloc (n + 1, sizeof *row);

  for (size_t j = 0; j <= n; j++)
    row[j] = j;
  for (size_t i = 0; a[i]; i++) {
    size_t diagonal = row[0];

    row[0] = i + 1;
    for (size_t j = 1; j <= n; j++) {
      size_t best = diagonal + (a[i] != b[j - 1]);

      diagonal = row[j];
      if (row[j] + 1 < best)
        best = row[j] + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  result = row[n];
  return result;
}

const char *nearest_word (const char *word, const char *const *known)
{
  const char *best = NULL;
  size_t best_distance = strlen (word) / 2 + 1;

  if (strlen (word) > 256)
    return NULL;
  for (; *known; known++) {
    size_t distance = edit_distance (word, *known);

    if (distance < best_distance) {
      best_distance = distance;
      best = *known;
    }
  }
  return best;
}

int json_check_keys (json_object *object, const char *const *keys, const char *what,
                     struct err *err)
{
  json_object_object_foreach (object, key, value)
  {
    const char *const *k = keys;

    (void) value;
    while (*k && strcmp (*k, key) != 0)
      k++;
    if (*k)
      continue;
    const char *near = nearest_word (key, keys);
    if (near)
      return err_code (err, ERR_USAGE, "%s: unknown key \"%s\"; did you mean \"%s\"?", what, key,
                       near);
    return err_code (err, ERR_USAGE, "%s: unknown key \"%s\"", what, key);
  }
  return 0;
}

/* The member, or NULL when it is missing or null. A wrong type is an error. */
static int get_member (json_object *object, const char *key, json_type type, const char *type_name,
                       json_object **ret_value, struct err *err)
{
  json_object *value = NULL;

  if (!json_object_object_get_ex (object, key, &value) || !value) {
    *ret_value = NULL;
    return 0;
  }
  if (!json_object_is_type (value, type))
    return err_code (err, ERR_USAGE, "\"%s\" must be %s", key, type_name);
  *ret_value = value;
  return 0;
}

int json_get_string (json_object *object, const char *key, const char *fallback,
                     const char **ret_value, struct err *err)
{
  json_object *value = NULL;

  if (get_member (object, key, json_type_string, "a string", &value, err) < 0)
    return -err->code;
  if (value &&
      strlen (json_object_get_string (value)) != (size_t) json_object_get_string_len (value))
    return err_code (err, ERR_USAGE, "\"%s\" has a NUL character", key);
  *ret_value = value ? json_object_get_string (value) : fallback;
  return 0;
}

int json_get_bool (json_object *object, const char *key, bool fallback, bool *ret_value,
                   struct err *err)
{
  json_object *value = NULL;

  if (get_member (object, key, json_type_boolean, "true or false", &value, err) < 0)
    return -err->code;
  *ret_value = value ? json_object_get_boolean (value) : fallback;
  return 0;
}

int json_get_int (json_object *object, const char *key, int64_t fallback, int64_t *ret_value,
                  struct err *err)
{
  json_object *value = NULL;

  if (get_member (object, key, json_type_int, "a whole number", &value, err) < 0)
    return -err->code;
  *ret_value = value ? json_object_get_int64 (value) : fallback;
  return 0;
}

int json_get_object (json_object *object, const char *key, json_object **ret_value, struct err *err)
{
  return get_member (object, key, json_type_object, "an object", ret_value, err);
}

int json_get_strings (json_object *object, const char *key, json_object **ret_value,
                      struct err *err)
{
  json_object *value = NULL;

  if (get_member (object, key, json_type_array, "a list of strings", &value, err) < 0)
    return -err->code;
  for (size_t i = 0; value && i < json_object_array_length (value); i++)
    if (!json_object_is_type (json_object_array_get_idx (value, i), json_type_string))
      return err_code (err, ERR_USAGE, "\"%s\" must be a list of strings", key);
  *ret_value = value;
  return 0;
}

static void set (json_object *object, const char *key, json_object *value)
{
  if (json_object_object_add (object, key, value) < 0)
    err_out_of_memory ();
}

void json_set_string (json_object *object, const char *key, const char *value)
{
  if (!value)
    json_object_object_del (object, key);
  else
    set (object, key, json_object_new_string (value));
}

void json_set_int (json_object *object, const char *key, int64_t value)
{
  set (object, key, json_object_new_int64 (value));
}

void json_set_bool (json_object *object, const char *key, bool value)
{
  set (object, key, json_object_new_boolean (value));
}

/* The length of the UTF-8 sequence (RFC 3629) at @bytes, of which there are @len; 0 when it is
 * none. */
static size_t utf8_sequence (const unsigned char *bytes, size_t len)
{
  unsigned char first = bytes[0];
  size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

  if (!first || first > 0xf4 || !size || size > len)
    return 0;
  for (size_t i = 1; i < size; i++)
    if ((bytes[i] & 0xc0) != 0x80)
      return 0;
  if (size > 2) {
    unsigned start = (unsigned) first << 8 | bytes[1];

    /* Overlong forms, surrogates, and what is above U+10FFFF. */
    if ((start >= 0xe000 && start < 0xe0a0) || (start >= 0xeda0 && start <= 0xedff) ||
        (start >= 0xf000 && start < 0xf090) || (start >= 0xf490 && start <= 0xf4ff))
      return 0;
  }
  return size;
}

void json_set_bytes (json_object *object, const char *key, const char *bytes, size_t len)
{
  autostrbuf struct strbuf text = STRBUF_INIT (SIZE_MAX / 2);

  while (len) {
    size_t size = utf8_sequence ((const unsigned char *) bytes, len);

    if (size)
      strbuf_add (&text, bytes, size);
    else
      strbuf_adds (&text, "\xef\xbf\xbd");
    bytes += size ? size : 1;
    len -= size ? size : 1;
  }
  set (object, key, json_object_new_string_len (strbuf_str (&text), (int) text.len));
}

void json_put (json_object *object, const char *key, json_object *value)
{
  if (json_object_object_add (object, key, value) < 0)
    err_out_of_memory ();
}

void json_append (json_object *array, json_object *value)
{
  if (!value || json_object_array_add (array, value) < 0)
    err_out_of_memory ();
}

json_object *json_new_strings (const char *const *strings)
{
  json_object *array = json_object_new_array ();

  if (!array)
    err_out_of_memory ();
  for (; *strings; strings++)
    json_append (array, json_object_new_string (*strings));
  return array;
}
