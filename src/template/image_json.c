/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_json.h"
#include "image_document.h"
#include "util/utf8.h"

enum { TEXT_MAX = 64 << 10 };

int image_json_parse (const char *text, size_t len, const char *what, json_object **ret_object,
                      struct err *err)
{
  json_object *value = NULL;

  if (len > IMAGE_DOCUMENT_MAX)
    return err_code (err, EBADMSG, "%s has more than %d bytes", what, IMAGE_DOCUMENT_MAX);
  if (memchr (text, '\0', len))
    return err_code (err, EBADMSG, "%s has a NUL", what);
  if (json_parse_object (text, len, what, &value, err) < 0) {
    autofree char *message = xstrdup (err_text (err));

    return err_code (err, EBADMSG, "%s", message);
  }
  *ret_object = value;
  return 0;
}

/* The member, of @type; NULL when it is missing. */
static int get (json_object *object, const char *key, json_type type, const char *is,
                json_object **ret_value, struct err *err)
{
  json_object *value = NULL;

  *ret_value = NULL;
  if (!json_object_object_get_ex (object, key, &value) || !value)
    return 0;
  if (!json_object_is_type (value, type))
    return err_code (err, EBADMSG, "\"%s\" is no %s", key, is);
  *ret_value = value;
  return 0;
}

static int check_text (const char *key, json_object *value, const char **ret_text, struct err *err)
{
  const char *text = json_object_get_string (value);
  size_t len = (size_t) json_object_get_string_len (value);

  if (len > TEXT_MAX || strlen (text) != len || !utf8_valid (text))
    return err_code (err, EBADMSG, "\"%s\" is no text that can be used", key);
  *ret_text = text;
  return 0;
}

int image_json_text (json_object *object, const char *key, bool needed, char **ret_text,
                     struct err *err)
{
  json_object *value;
  const char *text = "";

  if (get (object, key, json_type_string, "string", &value, err) < 0 ||
      (value && check_text (key, value, &text, err) < 0))
    return -err->code;
  for (const char *p = text; *p; p++)
    if ((unsigned char) *p < ' ' || *p == 0x7f)
      return err_code (err, EBADMSG, "\"%s\" has a control character", key);
  if (needed && !*text)
    return err_code (err, EBADMSG, "\"%s\" is missing", key);
  *ret_text = *text ? xstrdup (text) : NULL;
  return 0;
}

int image_json_object (json_object *object, const char *key, json_object **ret_value,
                       struct err *err)
{
  return get (object, key, json_type_object, "object", ret_value, err);
}

int image_json_list (json_object *object, const char *key, size_t maximum, json_object **ret_list,
                     struct err *err)
{
  if (get (object, key, json_type_array, "list", ret_list, err) < 0)
    return -err->code;
  if (*ret_list && json_object_array_length (*ret_list) > maximum)
    return err_code (err, EBADMSG, "\"%s\" has %zu items, more than the %zu that are allowed", key,
                     (size_t) json_object_array_length (*ret_list), maximum);
  return 0;
}

int image_json_strings (json_object *object, const char *key, size_t maximum, struct names *names,
                        struct err *err)
{
  json_object *list;

  if (image_json_list (object, key, maximum, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    json_object *item = json_object_array_get_idx (list, i);
    const char *text = NULL;

    if (!json_object_is_type (item, json_type_string))
      return err_code (err, EBADMSG, "\"%s\" is no list of strings", key);
    if (check_text (key, item, &text, err) < 0)
      return -err->code;
    names_add (names, text);
  }
  return 0;
}
