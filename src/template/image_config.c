/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_document.h"
#include "image_json.h"
#include "image_ref.h"

enum { STRINGS_MAX = 4096 };

void image_config_release (struct image_config *config)
{
  int saved = errno;

  free (config->os);
  free (config->architecture);
  free (config->variant);
  free (config->diff_ids);
  names_release (&config->environment);
  names_release (&config->entrypoint);
  names_release (&config->command);
  free (config->user);
  free (config->working_dir);
  free (config->stop_signal);
  *config = (struct image_config){0};
  errno = saved;
}

static int parse_rootfs (json_object *object, struct image_config *config, struct err *err)
{
  autonames struct names ids = {0};
  json_object *rootfs = NULL;
  char *type = NULL;

  if (image_json_object (object, "rootfs", &rootfs, err) < 0)
    return -err->code;
  if (!rootfs)
    return err_code (err, EBADMSG, "\"rootfs\" is missing");
  if (image_json_text (rootfs, "type", /* needed= */ true, &type, err) < 0)
    return -err->code;
  autofree char *owned = type;
  if (strcmp (owned, "layers") != 0)
    return err_code (err, EBADMSG, "\"type\" of \"rootfs\" is not \"layers\"");
  if (image_json_strings (rootfs, "diff_ids", IMAGE_LAYERS_MAX, &ids, err) < 0)
    return -err->code;
  config->diff_ids = xcalloc (ids.count + 1, sizeof *config->diff_ids);
  for (size_t i = 0; i < ids.count; i++)
    if (image_digest_parse (ids.items[i], &config->diff_ids[i], err) < 0)
      return err_wrap (err, "\"diff_ids\"");
  config->diff_id_count = ids.count;
  return 0;
}

static int parse_process (json_object *object, struct image_config *config, struct err *err)
{
  json_object *process = NULL;

  if (image_json_object (object, "config", &process, err) < 0)
    return -err->code;
  if (!process)
    return 0;
  if (image_json_strings (process, "Env", STRINGS_MAX, &config->environment, err) < 0 ||
      image_json_strings (process, "Entrypoint", STRINGS_MAX, &config->entrypoint, err) < 0 ||
      image_json_strings (process, "Cmd", STRINGS_MAX, &config->command, err) < 0 ||
      image_json_text (process, "User", /* needed= */ false, &config->user, err) < 0 ||
      image_json_text (process, "WorkingDir", /* needed= */ false, &config->working_dir, err) < 0 ||
      image_json_text (process, "StopSignal", /* needed= */ false, &config->stop_signal, err) < 0)
    return err_wrap (err, "\"config\"");
  return 0;
}

int image_config_parse (const char *text, size_t len, const char *what,
                        struct image_config *ret_config, struct err *err)
{
  autoimageconfig struct image_config config = {0};
  autojson json_object *object = NULL;

  if (image_json_parse (text, len, what, &object, err) < 0)
    return -err->code;
  if (image_json_text (object, "os", /* needed= */ true, &config.os, err) < 0 ||
      image_json_text (object, "architecture", /* needed= */ true, &config.architecture, err) < 0 ||
      image_json_text (object, "variant", /* needed= */ false, &config.variant, err) < 0 ||
      parse_rootfs (object, &config, err) < 0 || parse_process (object, &config, err) < 0)
    return err_wrap (err, "%s", what);
  *ret_config = config;
  config = (struct image_config){0};
  return 0;
}
