/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_guest.h"
#include "guest/settings.h"
#include "template/path.h"
#include "util/strbuf.h"
#include <ctype.h>
#include <limits.h>

static const char where_prefix[] = "config.json: ";

/* The length of the name of a variable at @text; 0 when it has none. */
static size_t variable_name (const char *text)
{
  size_t len = 0;

  while (isalnum ((unsigned char) text[len]) || text[len] == '_')
    len++;
  return text[len] == '=' && !isdigit ((unsigned char) text[0]) ? len : 0;
}

static void put_environment (const struct names *environment, json_object *guest)
{
  json_object *map = json_object_new_object ();

  for (size_t i = 0; i < environment->count; i++) {
    size_t len = variable_name (environment->items[i]);
    autofree char *name = xstrndup (environment->items[i], len);

    if (len)
      json_set_string (map, name, environment->items[i] + len + 1);
  }
  if (json_object_object_length (map))
    json_put (guest, "environment", map);
  else
    json_object_put (map);
}

static void put_command (const struct image_config *config, json_object *guest)
{
  const struct names *parts[] = {&config->entrypoint, &config->command};
  json_object *list = json_object_new_array ();

  for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++)
    for (size_t i = 0; i < parts[part]->count; i++)
      json_append (list, json_object_new_string (parts[part]->items[i]));
  if (json_object_array_length (list))
    json_put (guest, "command", list);
  else
    json_object_put (list);
}

/* "app/" is "/app" to those who wrote it. */
static int put_working_dir (const char *text, json_object *guest, struct err *err)
{
  autostrbuf struct strbuf clean = STRBUF_INIT (PATH_MAX);
  autopath struct path path = {0};

  if (path_split (&path, text, err) < 0)
    return err_code (err, EBADMSG, "its working directory: %s", err_text (err));
  for (size_t i = 0; i < path.count; i++)
    strbuf_addf (&clean, "/%s", path.parts[i]);
  if (clean.failed)
    return err_code (err, EBADMSG, "its working directory is too long");
  if (path.count)
    json_set_string (guest, "working_dir", strbuf_str (&clean));
  return 0;
}

int image_guest (const struct image_config *config, json_object *guest, struct err *err)
{
  autosettings struct settings settings = {0};

  put_command (config, guest);
  put_environment (&config->environment, guest);
  if (config->working_dir && put_working_dir (config->working_dir, guest, err) < 0)
    return -err->code;
  if (config->user)
    json_set_string (guest, "user", config->user);
  if (config->stop_signal)
    json_set_string (guest, "stop_signal", config->stop_signal);
  if (settings_parse (guest, "guest", &settings, err) == 0)
    return 0;
  /* There is no config.json yet. */
  const char *where = strstr (err_text (err), where_prefix);
  return err_code (err, EBADMSG, "the image's config cannot be used: %s",
                   where ? where + strlen (where_prefix) : err_text (err));
}
