/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings as words of a command line: KEY=VALUE and back. */
#include "settings_internal.h"
#include "guest/identity.h"
#include "util/strbuf.h"

enum { ASSIGNMENT_MAX = 256 << 10, JOINED_MAX = 4 << 20 };

enum operation { SET, ADD, REMOVE };

/* The setting of @key; @ret_member: what follows "MAP.", or NULL. NULL, and ERR_USAGE with the
 * nearest, when there is none. */
static const struct setting *find_setting (const char *key, const char **ret_member,
                                           struct err *err)
{
  const char *dot = strchr (key, '.');

  for (size_t i = 0; i < settings_table_count; i++) {
    const struct setting *setting = &settings_table[i];
    bool map = setting->type == SETTING_MAP && dot && dot[1] &&
               strlen (setting->key) == (size_t) (dot - key) &&
               strncmp (setting->key, key, (size_t) (dot - key)) == 0;

    if (!map && strcmp (setting->key, key) != 0)
      continue;
    *ret_member = map ? dot + 1 : NULL;
    return setting;
  }
  const char *near = nearest_word (key, settings_keys ());
  if (near)
    err_code (err, ERR_USAGE, "unknown key \"%.60s\"; did you mean \"%s\"?", key, near);
  else
    err_code (err, ERR_USAGE, "unknown key \"%.60s\"", key);
  return NULL;
}

static json_object *new_string (const char *text)
{
  json_object *value = json_object_new_string (text);

  if (!value)
    err_out_of_memory ();
  return value;
}

/* The value of @setting in @config, or NULL; borrowed. */
static json_object *find_value (json_object *config, const struct setting *setting)
{
  const char *dot = strchr (setting->key, '.');

  if (!dot)
    return setting_member (config, setting->key);
  autofree char *group = xstrndup (setting->key, (size_t) (dot - setting->key));
  json_object *object = setting_member (config, group);
  return json_object_is_type (object, json_type_object) ? setting_member (object, dot + 1) : NULL;
}

/* Puts @value, or nothing when it is NULL, there. An empty group goes. */
static void store_value (json_object *config, const struct setting *setting, json_object *value)
{
  const char *dot = strchr (setting->key, '.');

  if (!dot) {
    if (value)
      json_put (config, setting->key, value);
    else
      json_object_object_del (config, setting->key);
    return;
  }
  autofree char *group = xstrndup (setting->key, (size_t) (dot - setting->key));
  json_object *object = setting_member (config, group);
  if (!json_object_is_type (object, json_type_object)) {
    if (!value)
      return;
    object = json_object_new_object (); /* in place of "host" */
    if (!object)
      err_out_of_memory ();
    json_put (config, group, object);
  }
  if (value)
    json_put (object, dot + 1, value);
  else
    json_object_object_del (object, dot + 1);
  if (!json_object_object_length (object))
    json_object_object_del (config, group);
}

static int value_from_number (const char *text, json_object **ret_value, struct err *err)
{
  char *end;

  errno = 0;
  int64_t number = strtoll (text, &end, 10);
  if (!*end && !errno && end != text && !strchr (" \t\n+", *text)) {
    *ret_value = json_object_new_int64 (number);
    return 0;
  }
  size_t len = strspn (text, "0123456789");
  size_t more = text[len] == '.' ? 1 + strspn (text + len + 1, "0123456789") : 0;
  if (!len || len > 15 || more < 2 || text[len + more])
    return err_code (err, ERR_USAGE, "\"%.60s\" is not a number", text);
  *ret_value = json_object_new_double_s (strtod (text, NULL), text);
  return 0;
}

static int value_from_switch (const char *text, json_object **ret_value, struct err *err)
{
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1", NULL};

  for (int i = 0; words[i]; i++)
    if (strcasecmp (words[i], text) == 0) {
      *ret_value = json_object_new_boolean (i % 2);
      return 0;
    }
  return err_code (err, ERR_USAGE, "\"%.60s\" is neither true nor false", text);
}

/* The words between @separators. */
static json_object *value_from_words (const struct setting *setting, const char *text,
                                      const char *separators)
{
  json_object *array = json_object_new_array ();

  if (!array)
    err_out_of_memory ();
  while (*text) {
    size_t len = strcspn (text, separators);
    autofree char *word = xstrndup (text, len);
    autofree char *normal = setting->normal ? setting->normal (word) : xstrdup (word);

    if (len)
      json_append (array, new_string (normal));
    text += len + (text[len] != '\0');
  }
  return array;
}

static int value_from_pair (const char *text, json_object **ret_value, struct err *err)
{
  const char *equals = strchr (text, '=');

  if (!equals || equals == text)
    return err_code (err, ERR_USAGE, "\"%.60s\": NAME=VALUE or a JSON object is expected", text);
  autofree char *name = xstrndup (text, (size_t) (equals - text));
  json_object *object = json_object_new_object ();
  if (!object)
    err_out_of_memory ();
  json_put (object, name, new_string (equals + 1));
  *ret_value = object;
  return 0;
}

static int value_from_mount (const char *text, json_object **ret_value, struct err *err)
{
  json_object *mount = NULL;

  if (*text == '{') {
    if (json_parse_object (text, strlen (text), "the mount", &mount, err) < 0)
      return -err->code;
  } else if (mount_from_text (text, &mount, err) < 0) {
    return -err->code;
  }
  json_object *array = json_object_new_array ();
  if (!array)
    err_out_of_memory ();
  json_append (array, mount);
  *ret_value = array;
  return 0;
}

/* What @text, which is not empty, stands for: in the shape of config.json, not yet checked. */
static int value_from_text (const struct setting *setting, const char *text,
                            json_object **ret_value, struct err *err)
{
  enum setting_type type = setting->type;
  bool list = type == SETTING_WORDS || type == SETTING_ARGS || type == SETTING_MOUNTS;
  bool object = type == SETTING_MAP || type == SETTING_GROUP;

  if ((list && *text == '[') || (object && *text == '{'))
    return json_parse_value (text, strlen (text), "the value", ret_value, err);
  switch (type) {
  case SETTING_NUMBER:
    return value_from_number (text, ret_value, err);
  case SETTING_SWITCH:
    return value_from_switch (text, ret_value, err);
  case SETTING_WORDS:
    *ret_value = value_from_words (setting, text, ",");
    return 0;
  case SETTING_ARGS:
    *ret_value = value_from_words (setting, text, " \t\n");
    return 0;
  case SETTING_MAP:
    return value_from_pair (text, ret_value, err);
  case SETTING_MOUNTS:
    return value_from_mount (text, ret_value, err);
  case SETTING_TEXT:
  case SETTING_GROUP:
    break;
  }
  *ret_value = new_string (text);
  return 0;
}

/* What tells the members of a list apart: a mount by its target. The caller's; NULL: nothing. */
static char *identity (const struct setting *setting, json_object *item)
{
  json_object *name = item;

  if (setting->type == SETTING_MOUNTS && json_object_is_type (item, json_type_object))
    name = setting_member (item, "target");
  if (!json_object_is_type (name, json_type_string))
    return NULL;
  const char *text = json_object_get_string (name);
  return setting->normal ? setting->normal (text) : xstrdup (text);
}

/* Where the member called @name is in the list, or its length. */
static size_t position (const struct setting *setting, json_object *list, const char *name)
{
  size_t i;

  for (i = 0; i < json_object_array_length (list); i++) {
    autofree char *other = identity (setting, json_object_array_get_idx (list, i));

    if (name && other && strcmp (name, other) == 0)
      break;
  }
  return i;
}

/* @old, a value of the same shape or NULL, with the members of @more: the caller's. */
static json_object *add_members (const struct setting *setting, json_object *old, json_object *more)
{
  json_object *sum = NULL;

  if (!old)
    return json_object_get (more);
  if (json_object_deep_copy (old, &sum, NULL) < 0)
    err_out_of_memory ();
  if (setting->type == SETTING_MAP) {
    json_object_object_foreach (more, key, value)
    {
      json_put (sum, key, json_object_get (value));
    }
    return sum;
  }
  for (size_t i = 0; i < json_object_array_length (more); i++) {
    json_object *item = json_object_array_get_idx (more, i);
    autofree char *name = identity (setting, item);

    /* A mount on a target that is there is an error, which the check tells. */
    if (setting->type == SETTING_MOUNTS ||
        position (setting, sum, name) == json_object_array_length (sum))
      json_append (sum, json_object_get (item));
  }
  return sum;
}

/* @old without the members that @text names: the caller's. */
static int remove_members (const struct setting *setting, json_object *old, const char *text,
                           json_object **ret_value, struct err *err)
{
  const struct setting plain = {.normal = setting->normal};
  autojson json_object *words = setting->type == SETTING_MOUNTS
                                    ? value_from_words (&plain, text, "")
                                    : value_from_words (&plain, text, ",");
  autojson json_object *rest = NULL;

  if (old && json_object_deep_copy (old, &rest, NULL) < 0)
    err_out_of_memory ();
  for (size_t i = 0; i < json_object_array_length (words); i++) {
    const char *word = json_object_get_string (json_object_array_get_idx (words, i));
    size_t at = 0;
    bool there;

    if (setting->type == SETTING_MAP) {
      there = rest && json_object_object_get_ex (rest, word, NULL);
    } else {
      at = rest ? position (setting, rest, word) : 0;
      there = rest && at < json_object_array_length (rest);
    }
    if (!there)
      return err_code (err, ERR_USAGE, "there is no \"%.200s\" to remove", word);
    if (setting->type == SETTING_MAP)
      json_object_object_del (rest, word);
    else
      json_object_array_del_idx (rest, at, 1);
  }
  *ret_value = steal_ptr (&rest);
  return 0;
}

static bool is_empty (json_object *value)
{
  if (json_object_is_type (value, json_type_array))
    return !json_object_array_length (value);
  if (json_object_is_type (value, json_type_object))
    return !json_object_object_length (value);
  return !value;
}

static int check_old (const struct setting *setting, json_object *old, struct err *err)
{
  json_type type = setting->type == SETTING_MAP ? json_type_object : json_type_array;

  if (old && !json_object_is_type (old, type))
    return err_code (err, ERR_USAGE, "what config.json has is no %s",
                     type == json_type_object ? "object" : "list");
  return 0;
}

/* The new value of @setting, NULL to unset it: the caller's. */
static int change_value (const struct setting *setting, json_object *old, enum operation operation,
                         const char *text, json_object **ret_value, struct err *err)
{
  autojson json_object *value = NULL;
  bool several = setting->type == SETTING_WORDS || setting->type == SETTING_MAP ||
                 setting->type == SETTING_MOUNTS;

  if (operation != SET && !several)
    return err_code (err, ERR_USAGE, "\"%c=\" is for lists and maps", operation == ADD ? '+' : '-');
  if (operation != SET && !*text)
    return err_code (err, ERR_USAGE, "nothing follows \"%c=\"", operation == ADD ? '+' : '-');
  if (operation != SET && check_old (setting, old, err) < 0)
    return -err->code;
  if (operation == REMOVE)
    return remove_members (setting, old, text, ret_value, err);
  if (*text && value_from_text (setting, text, &value, err) < 0)
    return -err->code;
  if (value && setting->type == SETTING_WORDS && !json_object_is_type (value, json_type_array))
    return err_code (err, ERR_USAGE, "a list is expected");
  *ret_value = operation == ADD && value ? add_members (setting, old, value) : steal_ptr (&value);
  return 0;
}

/* The map of @setting with @member changed: the caller's. */
static int change_member (const struct setting *setting, json_object *old, const char *member,
                          enum operation operation, const char *text, json_object **ret_value,
                          struct err *err)
{
  json_object *map = NULL;

  if (operation != SET)
    return err_code (err, ERR_USAGE, "\"%c=\" is for lists and maps", operation == ADD ? '+' : '-');
  if (check_old (setting, old, err) < 0)
    return -err->code;
  if (old && json_object_deep_copy (old, &map, NULL) < 0)
    err_out_of_memory ();
  if (!map)
    map = json_object_new_object ();
  if (!map)
    err_out_of_memory ();
  json_set_string (map, member, *text ? text : NULL);
  *ret_value = map;
  return 0;
}

/* Takes "KEY=", "KEY+=" or "KEY-=" off @assignment: @ret_key is the caller's. */
static int split (const char *assignment, char **ret_key, enum operation *ret_operation,
                  const char **ret_text, struct err *err)
{
  const char *equals = strchr (assignment, '=');

  if (!equals || equals == assignment)
    return err_code (err, ERR_USAGE, "\"%.60s\": KEY=VALUE is expected", assignment);
  if (strlen (assignment) > ASSIGNMENT_MAX)
    return err_code (err, ERR_USAGE, "the value of \"%.60s\" is too long", assignment);
  bool add = equals[-1] == '+', remove = equals[-1] == '-';
  *ret_operation = add ? ADD : remove ? REMOVE : SET;
  *ret_key = xstrndup (assignment, (size_t) (equals - assignment) - (add || remove));
  *ret_text = equals + 1;
  return 0;
}

static int set (json_object *config, const char *assignment, struct err *err)
{
  autofree char *key = NULL;
  autojson json_object *value = NULL;
  enum operation operation = SET;
  const char *text = NULL, *member = NULL;

  if (split (assignment, &key, &operation, &text, err) < 0)
    return -err->code;
  const struct setting *setting = find_setting (key, &member, err);
  if (!setting)
    return -err->code;
  json_object *old = find_value (config, setting);
  int ret = member ? change_member (setting, old, member, operation, text, &value, err)
                   : change_value (setting, old, operation, text, &value, err);
  if (ret < 0)
    return err_wrap (err, "%s", setting->key);
  if (is_empty (value)) {
    store_value (config, setting, NULL);
    return 0;
  }
  if (setting_check (setting, value, err) < 0)
    return -err->code;
  store_value (config, setting, steal_ptr (&value));
  return 0;
}

int settings_set (json_object *config, const char *name, const char *assignment, struct err *err)
{
  if (set (config, assignment, err) < 0)
    return err_wrap (err, "guest %s", name);
  return 0;
}

/* The words of a list between commas: the caller's; NULL when one has a comma or is empty. */
static char *join_words (json_object *list)
{
  autostrbuf struct strbuf text = STRBUF_INIT (JOINED_MAX);

  for (size_t i = 0; i < json_object_array_length (list); i++) {
    json_object *item = json_object_array_get_idx (list, i);
    const char *word = json_object_get_string (item);

    if (!json_object_is_type (item, json_type_string) || !*word || strpbrk (word, ",[") ||
        strlen (word) != (size_t) json_object_get_string_len (item))
      return NULL;
    strbuf_addf (&text, "%s%s", i ? "," : "", word);
  }
  return text.failed ? NULL : strbuf_steal (&text);
}

static char *text_of (const struct setting *setting, json_object *value)
{
  if (json_object_is_type (value, json_type_array) && setting->type == SETTING_WORDS) {
    char *text = join_words (value);

    if (text)
      return text;
  }
  if (json_object_is_type (value, json_type_string))
    return xstrdup (json_object_get_string (value));
  const char *text = json_object_to_json_string_ext (value, JSON_C_TO_STRING_SPACED |
                                                                JSON_C_TO_STRING_NOSLASHESCAPE);
  if (!text)
    err_out_of_memory ();
  return xstrdup (text);
}

/* What holds where nothing is set: the caller's. */
static char *fallback_of (const struct setting *setting, json_object *config, const char *name)
{
  autoerr struct err err = {0};
  char *hostname = NULL;

  if (setting->fallback && strcmp (setting->key, "network.interface") == 0 &&
      !json_object_is_type (setting_member (config, "network"), json_type_object))
    return xstrdup ("");
  if (setting->fallback)
    return xstrdup (setting->fallback);
  return hostname_for_guest (name, &hostname, &err) < 0 ? xstrdup (name) : hostname;
}

int settings_get (json_object *config, const char *name, const char *key, char **ret_value,
                  struct err *err)
{
  const char *member = NULL;
  const struct setting *setting = find_setting (key, &member, err);

  if (!setting)
    return -err->code;
  json_object *value = find_value (config, setting);
  if (member) {
    value = json_object_is_type (value, json_type_object) ? setting_member (value, member) : NULL;
    *ret_value = value ? text_of (setting, value) : xstrdup ("");
  } else {
    *ret_value = value ? text_of (setting, value) : fallback_of (setting, config, name);
  }
  return 0;
}

void settings_drop_own (json_object *config)
{
  static const char *const own[] = {"network.mac", "network.addresses", "network.ports"};

  for (size_t i = 0; i < settings_table_count; i++)
    for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
      if (strcmp (settings_table[i].key, own[k]) == 0)
        store_value (config, &settings_table[i], NULL);
}
