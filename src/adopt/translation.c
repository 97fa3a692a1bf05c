/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "translation.h"
#include "guest/settings.h"
#include "util/strbuf.h"
#include <stdarg.h>

enum { VALUE_MAX = 4096 };

void translation_init (struct translation *translation, const char *name, const char *cni)
{
  *translation = (struct translation){
      .name = xstrdup (name),
      .cni = cni ? xstrdup (cni) : NULL,
      .settings = json_object_new_object (),
      .leftovers = json_object_new_array (),
  };
  if (!translation->settings || !translation->leftovers)
    err_out_of_memory ();
}

void translation_release (struct translation *translation)
{
  int saved = errno;

  free (translation->name);
  free (translation->cni);
  free (translation->rootfs);
  cleanup_json (&translation->settings);
  cleanup_json (&translation->leftovers);
  *translation = (struct translation){0};
  errno = saved;
}

static void put_text (json_object *object, const char *key, const char *text)
{
  json_set_bytes (object, key, text, strnlen (text, VALUE_MAX));
}

void translation_leave (struct translation *translation, const char *key, const char *value,
                        const char *why)
{
  size_t count = json_object_array_length (translation->leftovers);

  if (count > LEFTOVERS_MAX)
    return;
  json_object *object = json_object_new_object ();
  if (!object)
    err_out_of_memory ();
  if (count == LEFTOVERS_MAX) {
    put_text (object, "key", "…");
    put_text (object, "value", "");
    put_text (object, "why", "there is more than is listed here");
  } else {
    put_text (object, "key", key);
    put_text (object, "value", value);
    put_text (object, "why", why);
  }
  json_append (translation->leftovers, object);
}

/* The text of an error without the guest, of which nobody has asked. */
static const char *reason (const struct translation *translation, const struct err *err)
{
  autofree char *prefix = xasprintf ("guest %s: ", translation->name);
  const char *text = err_text (err);

  return strncmp (text, prefix, strlen (prefix)) == 0 ? text + strlen (prefix) : text;
}

static bool set (struct translation *translation, const char *key, const char *value,
                 const char *assignment)
{
  autoerr struct err err = {0};

  if (settings_set (translation->settings, translation->name, assignment, &err) == 0)
    return true;
  translation_leave (translation, key, value, reason (translation, &err));
  return false;
}

bool translation_set (struct translation *translation, const char *key, const char *value,
                      const char *format, ...)
{
  char *assignment;
  va_list list;

  va_start (list, format);
  int len = vasprintf (&assignment, format, list);
  va_end (list);
  if (len < 0)
    err_out_of_memory ();
  bool done = set (translation, key, value, assignment);
  free (assignment);
  return done;
}

bool translation_set_json (struct translation *translation, const char *key, const char *value,
                           const char *setting, json_object *json)
{
  autojson json_object *owned = json;
  const char *text = json_object_to_json_string_ext (owned, JSON_C_TO_STRING_PLAIN);

  if (!text)
    err_out_of_memory ();
  return translation_set (translation, key, value, "%s=%s", setting, text);
}

void translation_variable (struct translation *translation, const char *key, const char *variable)
{
  size_t len = strcspn (variable, "=");

  if (!len || !variable[len]) {
    translation_leave (translation, key, variable,
                       "it has no value; variables of the caller are "
                       "not passed on: set environment.NAME=VALUE");
    return;
  }
  autofree char *name = xstrndup (variable, len);
  translation_set (translation, key, variable, "environment.%s=%s", name, variable + len + 1);
}

void translation_capability (struct translation *translation, const char *key, const char *name,
                             bool drop)
{
  translation_set (translation, key, name, "capabilities.%s+=%s", drop ? "drop" : "add", name);
}

void translation_own_network (struct translation *translation, const char *key, const char *value)
{
  if (translation->cni) {
    translation_set (translation, key, value, "network.cni=%s", translation->cni);
    return;
  }
  translation_set (translation, key, value, "network=none");
  translation_leave (translation, key, value,
                     "it had a network of its own, and has none now: make a CNI network "
                     "(vguest-network(7)) and set network.cni, or say --cni NETWORK");
}

void translation_network (struct translation *translation, const char *key, const char *value,
                          const char *setting)
{
  if (translation->cni)
    translation_set (translation, key, value, "network.%s=%s", setting, value);
  else
    translation_leave (translation, key, value,
                       "it belongs to a network: set network.cni, and then this");
}

void translation_device (struct translation *translation, const char *key, const char *value,
                         char type, long major, long minor, const char *access)
{
  /* Linux: Documentation/admin-guide/devices.txt. */
  static const struct {
    long major, minor;
    const char *path; /* NULL: every guest has it */
  } known[] = {
      {1, 3, NULL},
      {1, 5, NULL},
      {1, 7, NULL},
      {1, 8, NULL},
      {1, 9, NULL},
      {5, 0, NULL},
      {5, 1, NULL},
      {5, 2, NULL},
      {136, -1, NULL},
      {10, 229, "fuse"},
      {10, 200, "net/tun"},
      {10, 232, "kvm"},
      {10, 237, "loop-control"},
      {10, 238, "vhost-net"},
      {108, 0, "ppp"},
      {10, 228, "hpet"},
      {10, 183, "hwrng"},
      {254, 0, "rtc0"},
  };

  for (size_t i = 0; type == 'c' && i < sizeof known / sizeof known[0]; i++) {
    if (known[i].major != major || known[i].minor != minor)
      continue;
    if (known[i].path)
      translation_set (translation, key, value, "devices+=/dev/%s:%s", known[i].path, access);
    return;
  }
  /* To make nodes only. */
  if (strcmp (access, "m") == 0 && minor < 0)
    return;
  translation_leave (translation, key, value,
                     "the device's path is not known: set devices+=/dev/NAME if it is needed");
}

void translation_idmap (struct translation *translation, const char *key, const char *value,
                        const struct idmap *map)
{
  if (translation->idmap_count == IDMAPS_MAX || !map->count ||
      map->guest > UINT32_MAX - map->count || map->host > UINT32_MAX - map->count) {
    translation_leave (translation, key, value, "this map of ids makes no sense");
    return;
  }
  translation->idmaps[translation->idmap_count++] = *map;
}

/* Takes @setting back when it is set. */
static void take_back (struct translation *translation, const char *setting, const char *why)
{
  autofree char *value = NULL;
  autoerr struct err err = {0};

  if (settings_get (translation->settings, translation->name, setting, &value, &err) < 0 || !*value)
    return;
  translation_leave (translation, setting, value, why);
  autofree char *unset = xasprintf ("%s=", setting);
  if (settings_set (translation->settings, translation->name, unset, &err) < 0)
    err_release (&err);
}

static void finish_sysctls (struct translation *translation)
{
  json_object *sysctls = NULL;

  if (!json_object_object_get_ex (translation->settings, "sysctls", &sysctls))
    return;
  autojson json_object *copy = NULL;
  if (json_object_deep_copy (sysctls, &copy, NULL) < 0)
    err_out_of_memory ();
  json_object_object_foreach (copy, key, value)
  {
    if (strncmp (key, "net.", 4) != 0)
      continue;
    translation_leave (translation, key, json_object_get_string (value),
                       "it belongs to the host while network is \"host\"");
    json_object_object_del (sysctls, key);
  }
  if (!json_object_object_length (sysctls))
    json_object_object_del (translation->settings, "sysctls");
}

void translation_finish (struct translation *translation)
{
  static const char *const own[] = {"command", "user", "working_dir", "stop_signal"};
  autosettings struct settings settings = {0};
  autoerr struct err err = {0};
  json_object *settings_object = translation->settings, *init = NULL, *network = NULL;

  json_object_object_get_ex (settings_object, "init", &init);
  json_object_object_get_ex (settings_object, "network", &network);
  if (init && strcmp (json_object_get_string (init), "auto") != 0 &&
      strcmp (json_object_get_string (init), "plain") != 0)
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
      take_back (translation, own[i], "it is for init \"plain\", and this guest has an init");
  if (!json_object_object_get_ex (settings_object, "command", NULL)) {
    for (size_t i = 1; i < sizeof own / sizeof own[0]; i++)
      take_back (translation, own[i], "it is for a guest that runs a command, and not an init");
    if (init && strcmp (json_object_get_string (init), "plain") == 0)
      json_object_object_del (settings_object, "init");
  }
  if (!json_object_object_get_ex (settings_object, "memory", NULL))
    take_back (translation, "swap", "it needs a memory limit as well");
  if (!network || (json_object_is_type (network, json_type_string) &&
                   strcmp (json_object_get_string (network), "host") == 0))
    finish_sysctls (translation);
  if (settings_parse (settings_object, translation->name, &settings, &err) == 0)
    return;
  /* Each value passes alone; so that nothing is lost in silence, all of it is told. */
  translation_leave (translation, "settings", json_object_to_json_string (settings_object),
                     reason (translation, &err));
  json_object_put (translation->settings);
  translation->settings = json_object_new_object ();
  if (!translation->settings)
    err_out_of_memory ();
}
