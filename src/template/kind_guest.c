/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stopped guest as a source: "guest", its name. The template is what the guest sees; what
 * clone.policy says belongs to one host is left out, and its settings but those that only one guest
 * can have become those of the guests that are made from it. */
#include "guest/build.h"
#include "guest/settings.h"
#include "template/freeze.h"
#include "template/kind.h"

static int from_text (const char *text, json_object *source, struct err *err)
{
  static const char prefix[] = "guest:";

  if (strncmp (text, prefix, strlen (prefix)) != 0)
    return 0;
  const char *name = text + strlen (prefix);
  if (name_check (name, "guest", err) < 0)
    return -err->code;
  json_set_string (source, "guest", name);
  return 1;
}

static void *parse (struct check *check, json_object *source)
{
  const char *name = check_string (check, source, "guest", true);
  autoerr struct err err = {0};

  if (name && name_check (name, "guest", &err) < 0)
    check_add (check, "guest", "%s", err_text (&err));
  return name ? xstrdup (name) : NULL;
}

static char *describe (const void *data)
{
  return xasprintf ("guest:%s", (const char *) data);
}

static int take_settings (struct import *import, json_object *config)
{
  json_object *copy = NULL;

  if (!config)
    return 0;
  if (json_object_deep_copy (config, &copy, NULL) < 0)
    err_out_of_memory ();
  settings_drop_own (copy);
  json_object_object_del (copy, "hostname");
  json_object_put (import->guest);
  import->guest = copy;
  return 0;
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  autobuildsource struct build_source source = {0};
  autoclonepolicy struct clone_policy policy = {0};

  if (clone_policy_load (&policy, err) < 0 ||
      build_source_guest (import->root, data, &source, err) < 0)
    return -err->code;
  take_settings (import, source.config);
  return freeze_layers (import, &source.layers, &policy.rules, err);
}

static const char *const keys[] = {"guest", NULL};
const struct source_kind kind_guest = {
    .name = "guest",
    .summary = "a stopped guest",
    .keys = keys,
    .local = true,
    .from_text = from_text,
    .parse = parse,
    .release = free,
    .describe = describe,
    .fetch = fetch,
};
