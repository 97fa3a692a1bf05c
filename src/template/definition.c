/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition.h"
#include "guest/settings.h"
#include "template/kind.h"
#include "template/path.h"
#include "unify/policy.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"

enum { DEFINITION_MAX = 1 << 20 };

static const char *const managers[] = {"apt", "dnf", "zypper", "pacman", "apk", "none", NULL};

void definition_release (struct definition *definition)
{
  int saved = errno;

  if (definition->kind)
    definition->kind->release (definition->source);
  if (definition->object)
    json_object_put (definition->object);
  *definition = (struct definition){0};
  errno = saved;
}

static void check_source (struct check *check, json_object *source, struct definition *definition)
{
  static const char *const common[] = {"type", NULL};
  const char *type;
  size_t mark = check_enter (check, "source");

  type = check_word (check, source, "type", kind_names (), NULL);
  if (type) {
    definition->kind = kind_by_name (type);
    check_keys (check, source, common, definition->kind->keys);
    definition->source = definition->kind->parse (check, source);
  } else if (!json_object_object_get (source, "type")) {
    check_add (check, "type", "is missing: what kind of source it is");
  }
  check_leave (check, mark);
}

/* Settings of guests, as config.json would have them. */
static void check_guest (struct check *check, json_object *guest)
{
  static const char *const own[] = {"hostname", "depends", NULL};
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};

  for (const char *const *key = own; *key; key++)
    if (json_object_object_get (guest, *key))
      check_add (check, "guest", "\"%s\" belongs to one guest, not to a template", *key);
  if (settings_parse (guest, "guest", &settings, &err) < 0)
    check_add (check, "guest", "%s", err_text (&err));
}

/* Commands: a string is for a shell, a list of strings is the command itself. */
static json_object *check_steps (struct check *check, json_object *object)
{
  json_object *steps = json_object_object_get (object, "steps");

  if (!steps)
    return NULL;
  if (!json_object_is_type (steps, json_type_array)) {
    check_add (check, "steps", "must be a list of commands");
    return NULL;
  }
  for (size_t i = 0; i < json_object_array_length (steps); i++) {
    json_object *step = json_object_array_get_idx (steps, i);
    bool good = json_object_is_type (step, json_type_string);

    if (json_object_is_type (step, json_type_array)) {
      good = json_object_array_length (step) > 0;
      for (size_t word = 0; word < json_object_array_length (step); word++)
        good &= json_object_is_type (json_object_array_get_idx (step, word), json_type_string);
    }
    if (good)
      continue;
    size_t mark = check_enter_item (check, "steps", i);
    check_add (check, NULL, "must be a command: a string, or a list of strings");
    check_leave (check, mark);
  }
  return steps;
}

/* Paths in the tree: absolute, and without "..". */
static json_object *check_cleanup (struct check *check, json_object *object)
{
  json_object *list = check_strings (check, object, "cleanup");

  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    const char *text = json_object_get_string (json_object_array_get_idx (list, i));
    autopath struct path path = {0};
    autoerr struct err err = {0};
    size_t mark = check_enter_item (check, "cleanup", i);

    if (path_split (&path, text, &err) < 0)
      check_add (check, NULL, "%s", err_text (&err));
    else if (!path.absolute || !path.count)
      check_add (check, NULL, "must be an absolute path below /");
    check_leave (check, mark);
  }
  return list;
}

static json_object *check_policy (struct check *check, json_object *object)
{
  json_object *list = check_strings (check, object, "policy");

  for (size_t i = 0; list && i < json_object_array_length (list); i++) {
    const char *line = json_object_get_string (json_object_array_get_idx (list, i));
    autopolicy struct policy policy = {0};
    autoerr struct err err = {0};
    size_t mark = check_enter_item (check, "policy", i);

    if (policy_parse (line, "the rule", &policy, &err) < 0)
      check_add (check, NULL, "%s", err_text (&err));
    check_leave (check, mark);
  }
  return list;
}

void definition_check (json_object *object, struct check *check, struct definition *ret_definition)
{
  static const char *const keys[] = {"$schema",           "description", "source", "guest",
                                     "packages",          "policy",      "steps",  "cleanup",
                                     "require_signature", NULL};
  autodefinition struct definition definition = {.object = json_object_get (object)};
  size_t before = check->count;

  check_keys (check, object, keys, NULL);
  definition.description = check_string (check, object, "description", false);
  json_object *source = check_object (check, object, "source", true);
  if (source)
    check_source (check, source, &definition);
  definition.guest = check_object (check, object, "guest", false);
  if (definition.guest)
    check_guest (check, definition.guest);
  definition.packages = check_word (check, object, "packages", managers, NULL);
  definition.policy = check_policy (check, object);
  definition.steps = check_steps (check, object);
  definition.cleanup = check_cleanup (check, object);
  definition.require_signature = check_bool (check, object, "require_signature", false);
  *ret_definition = (struct definition){0};
  if (check->count > before)
    return;
  *ret_definition = definition;
  definition = (struct definition){0};
}

int definition_from_object (json_object *object, const char *what,
                            struct definition *ret_definition, struct err *err)
{
  autocheck struct check check = CHECK_INIT;

  definition_check (object, &check, ret_definition);
  return check_result (&check, what, err);
}

int definition_parse (const char *text, size_t len, const char *what,
                      struct definition *ret_definition, struct err *err)
{
  autojson json_object *object = NULL;

  if (json_parse_object (text, len, what, &object, err) < 0)
    return -err->code;
  return definition_from_object (object, what, ret_definition, err);
}

static int read_file (const char *path, json_object **ret_object, char **ret_path, struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  if (fd_read_file (AT_FDCWD, path, DEFINITION_MAX, &text, &len, err) < 0 ||
      json_parse_object (text, len, path, ret_object, err) < 0)
    return -err->code;
  *ret_path = xstrdup (path);
  return 0;
}

/* The directories that are searched, NULL-terminated. */
static const char *const *search_path (void)
{
  static const char *dirs[4];
  const char *env = getenv ("VGUEST_TEMPLATES");
  size_t n = 0;

  if (env && *env)
    dirs[n++] = env;
  dirs[n++] = SYSCONFDIR "/vguest/templates";
  dirs[n++] = PKGDATADIR "/templates";
  dirs[n] = NULL;
  return dirs;
}

static void list_dir (const char *path, struct names *names)
{
  static const char suffix[] = ".json";
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autodirlist struct dirlist list = {0};
  autoerr struct err err = {0};

  /* Only for a message: a directory that is not there has no names. */
  if (fd < 0 || dirread_all (fd, &list, &err) < 0)
    return;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    size_t len = strlen (name);

    if (len <= strlen (suffix) || strcmp (name + len - strlen (suffix), suffix) != 0)
      continue;
    autofree char *stem = xstrndup (name, len - strlen (suffix));
    names_add (names, stem);
  }
}

static int no_such_definition (const char *name, struct err *err)
{
  autonames struct names names = {0};
  autostrbuf struct strbuf list = STRBUF_INIT (4096);

  for (const char *const *dir = search_path (); *dir; dir++)
    list_dir (*dir, &names);
  names_sort_unique (&names);
  for (size_t i = 0; i < names.count; i++)
    strbuf_addf (&list, "%s%s", i ? ", " : "", names.items[i]);
  if (!names.count)
    return err_code (err, ERR_USAGE,
                     "there is no definition called \"%s\", and none at all in %s: give one with "
                     "--definition",
                     name, PKGDATADIR "/templates");
  return err_code (err, ERR_USAGE, "there is no definition called \"%s\"; there are: %s", name,
                   strbuf_str (&list));
}

bool definition_exists (const char *name)
{
  for (const char *const *dir = search_path (); *dir; dir++) {
    autofree char *path = xasprintf ("%s/%s.json", *dir, name);

    if (access (path, F_OK) == 0)
      return true;
  }
  return false;
}

int definition_read (const char *name, const char *file, json_object **ret_object, char **ret_path,
                     struct err *err)
{
  if (file)
    return read_file (file, ret_object, ret_path, err);
  if (name_check (name, "definition", err) < 0)
    return -err->code;
  for (const char *const *dir = search_path (); *dir; dir++) {
    autofree char *path = xasprintf ("%s/%s.json", *dir, name);

    if (access (path, F_OK) == 0)
      return read_file (path, ret_object, ret_path, err);
    if (errno != ENOENT && errno != ENOTDIR)
      return err_errno (err, "look for %s", path);
  }
  return no_such_definition (name, err);
}

int definition_load (const char *name, const char *file, struct definition *ret_definition,
                     struct err *err)
{
  autojson json_object *object = NULL;
  autofree char *path = NULL;

  if (definition_read (name, file, &object, &path, err) < 0)
    return -err->code;
  return definition_from_object (object, path, ret_definition, err);
}
