/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES get [KEY…] */
#include "cmd.h"
#include "guest/settings.h"

static const char usage[] =
    "Usage: vguest NAMES get [KEY…]\n"
    "Shows settings of guests: of one key its value alone, as `set` takes it; of several, and of\n"
    "all when none is named, KEY=VALUE, with a mark where it is the default. With several guests\n"
    "each line begins with the guest's name. See vguest-guest(5).\n";

/* Is something set there? Keys of maps and groups are KEY.MEMBER. */
static bool is_set (json_object *config, const char *key)
{
  const char *dot = strchr (key, '.');
  autofree char *first = xstrndup (key, dot ? (size_t) (dot - key) : strlen (key));
  json_object *value = NULL;

  if (!json_object_object_get_ex (config, first, &value) || !value)
    return false;
  if (!dot)
    return true;
  return json_object_is_type (value, json_type_object) &&
         json_object_object_get_ex (value, dot + 1, &value) && value;
}

struct get {
  const struct context *context;
  const char *const *keys; /* ends with NULL */
  bool alone;              /* the value only */
  bool prefix;
};

static int get_json (const struct get *get, struct guest *guest, json_object *list, struct err *err)
{
  json_object *entry = json_object_new_object (), *values = json_object_new_object ();
  json_object *set = json_object_new_array ();

  json_set_string (entry, "name", guest->name);
  json_object_object_add (entry, "values", values);
  json_object_object_add (entry, "set", set);
  json_object_object_add (entry, "config", json_object_get (guest->config));
  json_object_array_add (list, entry);
  for (const char *const *key = get->keys; *key; key++) {
    autofree char *value = NULL;

    if (settings_get (guest->config, guest->name, *key, &value, err) < 0)
      return -err->code;
    json_set_string (values, *key, value);
    if (is_set (guest->config, *key))
      json_object_array_add (set, json_object_new_string (*key));
  }
  return 0;
}

static int get_text (const struct get *get, struct guest *guest, struct err *err)
{
  for (const char *const *key = get->keys; *key; key++) {
    autofree char *value = NULL;

    if (settings_get (guest->config, guest->name, *key, &value, err) < 0)
      return -err->code;
    if (get->prefix)
      printf ("%s: ", guest->name);
    if (get->alone)
      printf ("%s\n", value);
    else
      printf ("%s=%s%s\n", *key, value, is_set (guest->config, *key) ? "" : "  # default");
  }
  return 0;
}

static int get_all (const struct get *get, struct vroot *root, const struct names *names,
                    struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *list = json_object_new_array ();

  json_object_object_add (object, "guests", list);
  for (size_t i = 0; i < names->count; i++) {
    autoguest struct guest *guest = NULL;

    if (guest_open (root, names->items[i], GUEST_PEEK, &guest, err) < 0)
      return -err->code;
    if ((get->context->json ? get_json (get, guest, list, err) : get_text (get, guest, err)) < 0)
      return -err->code;
  }
  if (get->context->json)
    print_json (object);
  return 0;
}

int cmd_get (struct context *context, int argc, char **argv, struct err *err)
{
  const struct option_spec specs[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0 ||
      context_select (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  struct get get = {
      .context = context,
      .keys = first < argc ? (const char *const *) argv + first : settings_keys (),
      .alone = argc - first == 1,
      .prefix = names.count > 1,
  };
  return get_all (&get, root, &names, err);
}
