/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"

enum { DEFINITION_MAX = 1 << 20 };

void definition_release (struct definition *definition)
{
  int saved = errno;

  free (definition->description);
  free (definition->suite);
  free (definition->variant);
  names_release (&definition->include);
  *definition = (struct definition){0};
  errno = saved;
}

/* Words that become arguments of a bootstrap program: none may look like an option or a list. */
static bool plain_word (const char *word, const char *more)
{
  static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  size_t len = strspn (word, first);

  if (!len)
    return false;
  while (word[len] && (strchr (first, word[len]) || strchr (more, word[len])))
    len++;
  return !word[len] && len <= 128;
}

static int parse_include (json_object *source, struct definition *definition, struct err *err)
{
  json_object *include = NULL;

  if (json_get_strings (source, "include", &include, err) < 0)
    return -err->code;
  for (size_t i = 0; include && i < json_object_array_length (include); i++) {
    const char *package = json_object_get_string (json_object_array_get_idx (include, i));

    if (!plain_word (package, "+.-:"))
      return err_code (err, ERR_USAGE, "\"include\": \"%.60s\" is no name of a package", package);
    names_add (&definition->include, package);
  }
  return 0;
}

static int parse_source (json_object *source, struct definition *definition, struct err *err)
{
  static const char *const keys[] = {"type", "suite", "variant", "include", "updates", NULL};
  static const char *const variants[] = {"apt", "minbase", "important", "standard", "buildd", NULL};
  const char *type = NULL, *suite = NULL, *variant = NULL;

  if (json_check_keys (source, keys, "\"source\"", err) < 0 ||
      json_get_string (source, "type", NULL, &type, err) < 0 ||
      json_get_string (source, "suite", NULL, &suite, err) < 0 ||
      json_get_string (source, "variant", "minbase", &variant, err) < 0 ||
      json_get_bool (source, "updates", false, &definition->updates, err) < 0)
    return -err->code;
  if (!type || strcmp (type, "bootstrap") != 0)
    return err_code (err, ERR_USAGE, "\"type\" of \"source\" must be \"bootstrap\"");
  if (!suite || !plain_word (suite, ".-"))
    return err_code (err, ERR_USAGE, "\"suite\" of \"source\" must be a name such as \"bookworm\"");
  const char *const *known = variants;
  while (*known && strcmp (*known, variant) != 0)
    known++;
  if (!*known)
    return err_code (err, ERR_USAGE,
                     "\"variant\" must be apt, minbase, important, standard or buildd, not "
                     "\"%.60s\"",
                     variant);
  definition->suite = xstrdup (suite);
  definition->variant = xstrdup (variant);
  return parse_include (source, definition, err);
}

static int parse_object (json_object *object, struct definition *definition, struct err *err)
{
  static const char *const keys[] = {"description", "source", NULL};
  json_object *source = NULL;
  const char *description = NULL;

  if (json_check_keys (object, keys, "the definition", err) < 0 ||
      json_get_string (object, "description", NULL, &description, err) < 0 ||
      json_get_object (object, "source", &source, err) < 0)
    return -err->code;
  if (!source)
    return err_code (err, ERR_USAGE, "\"source\" is missing");
  if (description)
    definition->description = xstrdup (description);
  return parse_source (source, definition, err);
}

int definition_parse (const char *text, size_t len, const char *what,
                      struct definition *ret_definition, struct err *err)
{
  autojson json_object *object = NULL;
  autodefinition struct definition definition = {0};

  if (json_parse_object (text, len, what, &object, err) < 0)
    return -err->code;
  if (parse_object (object, &definition, err) < 0)
    return err_wrap (err, "%s", what);
  *ret_definition = definition;
  definition = (struct definition){0};
  return 0;
}

static int load_file (const char *path, struct definition *ret_definition, struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  if (fd_read_file (AT_FDCWD, path, DEFINITION_MAX, &text, &len, err) < 0)
    return -err->code;
  return definition_parse (text, len, path, ret_definition, err);
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

int definition_load (const char *name, const char *file, struct definition *ret_definition,
                     struct err *err)
{
  if (file)
    return load_file (file, ret_definition, err);
  if (name_check (name, "definition", err) < 0)
    return -err->code;
  for (const char *const *dir = search_path (); *dir; dir++) {
    autofree char *path = xasprintf ("%s/%s.json", *dir, name);

    if (access (path, F_OK) == 0)
      return load_file (path, ret_definition, err);
    if (errno != ENOENT && errno != ENOTDIR)
      return err_errno (err, "look for %s", path);
  }
  return no_such_definition (name, err);
}
