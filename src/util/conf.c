/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conf.h"
#include <fcntl.h>

const char *conf_path (void)
{
  const char *env = getenv ("VGUEST_CONF");

  return env && *env ? env : SYSCONFDIR "/vguest/vguest.conf";
}

int conf_wrap (struct err *err)
{
  return err_wrap (err, "%s", conf_path ());
}

int conf_read (json_object **ret_conf, struct err *err)
{
  static const char *const keys[] = {"root",    "runtime", "proxy",    "no_proxy",
                                     "ca_file", "ca_dir",  "min_free", "require_signature",
                                     "verity",  NULL};
  autojson json_object *conf = NULL;
  const char *path = conf_path ();

  if (access (path, F_OK) < 0) {
    if (errno != ENOENT)
      return err_errno (err, "read %s", path);
    *ret_conf = json_object_new_object ();
    return 0;
  }
  if (json_read_file (AT_FDCWD, path, path, &conf, err) < 0 ||
      json_check_keys (conf, keys, path, err) < 0)
    return -err->code;
  *ret_conf = steal_ptr (&conf);
  return 0;
}

int conf_string (const char *key, char **ret_value, struct err *err)
{
  autojson json_object *conf = NULL;
  const char *value = NULL;

  if (conf_read (&conf, err) < 0)
    return -err->code;
  if (json_get_string (conf, key, NULL, &value, err) < 0)
    return conf_wrap (err);
  *ret_value = value ? xstrdup (value) : NULL;
  return 0;
}
