/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cni.h"
#include "guest/names.h"
#include "util/dirread.h"
#include "util/fd.h"

static const char default_dirs[] = "/etc/cni/net.d";

/* What is looked through for the name of a network. */
struct search {
  const char *name;
  const char *dirs;
  struct names known; /* owned; names of other networks */
  char *broken;       /* owned; the first file that could not be read, and why */
  char *file;         /* owned; where it was found */
  json_object *found; /* owned */
};

static void search_release (struct search *search)
{
  names_release (&search->known);
  free (search->broken);
  free (search->file);
  json_object_put (search->found);
}

static bool ends_with (const char *name, const char *ending)
{
  size_t len = strlen (name), ending_len = strlen (ending);

  return len > ending_len && strcmp (name + len - ending_len, ending) == 0;
}

static void look_into_file (struct search *search, int dir_fd, const char *dir, const char *name)
{
  autofree char *path = xasprintf ("%s/%s", dir, name);
  autojson json_object *object = NULL;
  autoerr struct err err = {0};
  const char *network = NULL;

  if (json_read_file (dir_fd, name, path, &object, &err) < 0 ||
      json_get_string (object, "name", "", &network, &err) < 0) {
    if (!search->broken)
      search->broken = xstrdup (err_text (&err));
    return;
  }
  if (strcmp (network, search->name) != 0) {
    names_add (&search->known, network);
    return;
  }
  search->file = steal_ptr (&path);
  search->found = steal_ptr (&object);
}

/* Lists go before single configurations. */
static int look_into_dir (struct search *search, const char *dir, bool lists, struct err *err)
{
  autoclose int dir_fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autodirlist struct dirlist entries = {0};

  if (dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return 0;
  if (dir_fd < 0)
    return err_errno (err, "open %s", dir);
  if (dirread_all (dir_fd, &entries, err) < 0)
    return err_wrap (err, "%s", dir);
  for (size_t i = 0; i < entries.count && !search->found; i++) {
    const char *name = entries.items[i].name;

    if (lists ? ends_with (name, ".conflist")
              : ends_with (name, ".conf") || ends_with (name, ".json"))
      look_into_file (search, dir_fd, dir, name);
  }
  return 0;
}

static int look_into_dirs (struct search *search, bool lists, struct err *err)
{
  const char *at = search->dirs;

  while (*at && !search->found) {
    size_t len = strcspn (at, ":");
    autofree char *dir = xstrndup (at, len);

    if (len && look_into_dir (search, dir, lists, err) < 0)
      return -err->code;
    at += len;
    if (*at)
      at++;
  }
  return 0;
}

static int not_found (struct search *search, struct err *err)
{
  autofree const char **known = xcalloc (search->known.count + 1, sizeof *known);
  const char *near;

  for (size_t i = 0; i < search->known.count; i++)
    known[i] = search->known.items[i];
  near = nearest_word (search->name, known);
  return err_code (err, ENOENT, "there is no network \"%s\" in %s%s%s%s%s%s", search->name,
                   search->dirs, near ? "; did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "", search->broken ? "; not understood: " : "",
                   search->broken ? search->broken : "");
}

/* Versions of the specification, the one that is liked best first: 1.1.0 changes nothing that is
 * used here, and fewer plugins know it. */
static const char *const versions[] = {"1.0.0", "1.1.0", "0.4.0", "0.3.1",
                                       "0.3.0", "0.2.0", "0.1.0", NULL};

static bool has_string (json_object *array, const char *text)
{
  for (size_t i = 0; i < json_object_array_length (array); i++)
    if (strcmp (json_object_get_string (json_object_array_get_idx (array, i)), text) == 0)
      return true;
  return false;
}

static int choose_version (json_object *object, const char **ret_version, struct err *err)
{
  json_object *offered = NULL;
  const char *version = NULL;

  if (json_get_string (object, "cniVersion", "0.1.0", &version, err) < 0 ||
      json_get_strings (object, "cniVersions", &offered, err) < 0)
    return -err->code;
  for (const char *const *known = versions; *known; known++)
    if (offered ? has_string (offered, *known) : strcmp (*known, version) == 0) {
      *ret_version = *known;
      return 0;
    }
  return err_code (err, EINVAL, "\"cniVersion\": \"%s\" is not known; 0.1.0 to 1.1.0 are", version);
}

static int check_name (const char *name, struct err *err)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

  if (!*name || !strchr (letters, *name))
    return err_code (err, EINVAL, "\"name\" must begin with a letter or digit");
  for (const char *c = name; *c; c++)
    if (!strchr (letters, *c) && !strchr ("_.-", *c))
      return err_code (err, EINVAL, "\"name\" may have letters, digits, \"_\", \".\" and \"-\"");
  return 0;
}

static int check_type (json_object *object, const char *what, struct err *err)
{
  const char *type = NULL;

  if (json_get_string (object, "type", "", &type, err) < 0)
    return err_wrap (err, "%s", what);
  if (!*type || strchr (type, '/') || type[0] == '.')
    return err_code (err, EINVAL, "\"type\" of %s must be the name of a plugin", what);
  return 0;
}

static int check_plugin (json_object *plugin, struct err *err)
{
  json_object *member = NULL;

  if (!json_object_is_type (plugin, json_type_object))
    return err_code (err, EINVAL, "a member of \"plugins\" is not an object");
  if (check_type (plugin, "a plugin", err) < 0 ||
      json_get_object (plugin, "capabilities", &member, err) < 0 ||
      json_get_object (plugin, "ipam", &member, err) < 0)
    return -err->code;
  /* An empty "ipam" means no addresses. */
  if (member && json_object_object_length (member) > 0 &&
      json_object_object_get_ex (member, "type", NULL) && check_type (member, "\"ipam\"", err) < 0)
    return -err->code;
  return 0;
}

static void add (json_object *object, const char *key, json_object *value)
{
  if (json_object_object_add (object, key, value) < 0)
    err_out_of_memory ();
}

/* Makes a list of what was found, also of a single configuration, and checks it. */
static int make_list (json_object *found, json_object **ret_config, struct err *err)
{
  autojson json_object *config = json_object_new_object ();
  const char *name = NULL, *version = NULL;
  json_object *plugins = NULL;

  if (json_get_string (found, "name", "", &name, err) < 0 || check_name (name, err) < 0 ||
      choose_version (found, &version, err) < 0)
    return -err->code;
  if (json_object_object_get_ex (found, "plugins", &plugins)) {
    if (!json_object_is_type (plugins, json_type_array) || json_object_array_length (plugins) == 0)
      return err_code (err, EINVAL, "\"plugins\" must be a list with at least one member");
    json_object_get (plugins);
  } else {
    plugins = json_object_new_array ();
    json_object_array_add (plugins, json_object_get (found));
  }
  json_set_string (config, "name", name);
  json_set_string (config, "cniVersion", version);
  add (config, "plugins", plugins);
  for (size_t i = 0; i < json_object_array_length (plugins); i++)
    if (check_plugin (json_object_array_get_idx (plugins, i), err) < 0)
      return -err->code;
  *ret_config = steal_ptr (&config);
  return 0;
}

int cni_config_load (const char *name, json_object **ret_config, struct err *err)
{
  const char *dirs = getenv ("CNI_CONF_PATH");
  __attribute__ ((cleanup (search_release))) struct search search = {
      .name = name, .dirs = dirs && *dirs ? dirs : default_dirs};

  if (look_into_dirs (&search, true, err) < 0 || look_into_dirs (&search, false, err) < 0)
    return -err->code;
  if (!search.found)
    return not_found (&search, err);
  if (make_list (search.found, ret_config, err) < 0) {
    err->code = EINVAL;
    return err_wrap (err, "%s", search.file);
  }
  return 0;
}
