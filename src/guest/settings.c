/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is needed to run a guest at all. */
#include "settings.h"

static const char *const style_names[] = {"auto",    "systemd", "sysvinit", "openrc",
                                          "busybox", "plain",   "none"};

const char *init_style_name (enum init_style style)
{
  return style_names[style];
}

void settings_release (struct settings *settings)
{
  free (settings->hostname);
  free (settings->runtime);
  names_release (&settings->command);
  names_release (&settings->environment);
}

static int get_list (json_object *config, const char *key, struct names *names, struct err *err)
{
  json_object *list = NULL;

  if (json_get_strings (config, key, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; list && i < json_object_array_length (list); i++)
    names_add (names, json_object_get_string (json_object_array_get_idx (list, i)));
  return 0;
}

int settings_parse (json_object *config, const char *name, struct settings *ret_settings,
                    struct err *err)
{
  const char *hostname = NULL, *init = NULL;

  if (json_get_string (config, "hostname", name, &hostname, err) < 0 ||
      json_get_string (config, "init", "auto", &init, err) < 0 ||
      json_get_int (config, "stop_timeout", 30, &ret_settings->stop_timeout, err) < 0 ||
      get_list (config, "command", &ret_settings->command, err) < 0 ||
      get_list (config, "environment", &ret_settings->environment, err) < 0)
    return err_wrap (err, "guest %s", name);
  ret_settings->hostname = xstrdup (hostname);
  for (int style = INIT_AUTO; style <= INIT_NONE; style++)
    if (strcmp (init, style_names[style]) == 0)
      ret_settings->init = (enum init_style) style;
  return 0;
}
