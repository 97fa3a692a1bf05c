/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a definition to a template. */
#include "import.h"
#include "template/cleanup.h"
#include "template/definition.h"
#include "template/kind.h"
#include "util/conf.h"
#include "util/fd.h"
#include "util/strbuf.h"

/* What the source says of a command is of no use to a guest with an init. */
static void drop_command (json_object *guest, const char *init)
{
  static const char *const keys[] = {"command", "user", "working_dir", "stop_signal", NULL};

  if (!init || strcmp (init, "auto") == 0 || strcmp (init, "plain") == 0)
    return;
  for (const char *const *key = keys; *key; key++)
    json_object_object_del (guest, *key);
}

/* The source's settings for guests with the definition's over them. */
static void merge_guest (struct import *import, const struct definition *definition)
{
  if (!definition->guest)
    return;
  drop_command (import->guest,
                json_object_get_string (json_object_object_get (definition->guest, "init")));
  json_object_object_foreach (definition->guest, key, value)
  {
    json_put (import->guest, key, json_object_get (value));
  }
}

static int write_policy (struct import *import, const struct definition *definition,
                         struct err *err)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  if (!definition->policy)
    return 0;
  for (size_t i = 0; i < json_object_array_length (definition->policy); i++)
    strbuf_addf (&text, "%s\n",
                 json_object_get_string (json_object_array_get_idx (definition->policy, i)));
  return fd_write_file (import->generation_fd, "unify.policy", strbuf_str (&text), text.len, 0600,
                        err);
}

static int run_steps (struct import *import, const struct definition *definition, struct err *err)
{
  const struct import_options *options = import->options;

  if (!definition->steps || !json_object_array_length (definition->steps) || options->no_steps)
    return 0;
  if (!options->run_steps)
    return err_code (err, EOPNOTSUPP, "steps of a definition cannot be run here");
  return options->run_steps (options->data, import, definition->steps, err);
}

static int clean_up (struct import *import, const struct definition *definition, struct err *err)
{
  if (!definition->cleanup || !json_object_array_length (definition->cleanup))
    return 0;
  return import_complete (import, err) < 0 ? -err->code
                                           : template_cleanup (import, definition->cleanup, err);
}

/* Does the host's policy ask for a signature? */
static int global_policy (bool *ret_required, struct err *err)
{
  autojson json_object *conf = NULL;

  if (conf_read (&conf, err) < 0)
    return -err->code;
  if (json_get_bool (conf, "require_signature", false, ret_required, err) < 0)
    return conf_wrap (err);
  return 0;
}

static int check_trust (const struct import *import, const struct definition *definition,
                        struct err *err)
{
  bool required = false;

  if (definition->kind->local || import->vouched)
    return 0;
  if (!definition->require_signature && global_policy (&required, err) < 0)
    return -err->code;
  if (!definition->require_signature && !required)
    return 0;
  return err_code (err, EBADMSG,
                   "refused: %s requires a signature, and none vouches for what was fetched",
                   required ? conf_path () : "the definition");
}

static int begin (struct vroot *root, const char *name, const char *source,
                  const struct import_options *options, struct import *import, struct err *err)
{
  if (!name)
    return import_begin_tree (root, source, import, err);
  if (options && options->after)
    return import_begin_next (root, name, options->after, source, import, err);
  return import_begin (root, name, source, import, err);
}

int import_fetch (struct vroot *root, const char *name, const struct definition *definition,
                  const struct import_options *options, struct import *import, struct err *err)
{
  autofree char *source = definition->kind->describe (definition->source);

  if (begin (root, name, source, options, import, err) < 0)
    return -err->code;
  if (options)
    import->options = options;
  if (definition->description)
    json_set_string (import->info, "description", definition->description);
  if (definition->kind->fetch (definition->source, import, err) < 0 ||
      check_trust (import, definition, err) < 0)
    return err_wrap (err, "%s", source);
  merge_guest (import, definition);
  if (definition->packages)
    json_set_string (import->info, "packages", definition->packages);
  json_put (import->info, "definition", json_object_get (definition->object));
  if (run_steps (import, definition, err) < 0 || clean_up (import, definition, err) < 0 ||
      write_policy (import, definition, err) < 0)
    return -err->code;
  return 0;
}

int import_definition (struct vroot *root, const char *name, const struct definition *definition,
                       const struct import_options *options, struct writer_report *ret_report,
                       struct err *err)
{
  autoimport struct import import = IMPORT_INIT;

  if (import_fetch (root, name, definition, options, &import, err) < 0)
    return -err->code;
  return import_finish (&import, ret_report, err);
}
