/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "build_method.h"
#include "cmd/template_run.h"
#include "template/definition.h"
#include "template/kind.h"

void build_arguments_release (struct build_arguments *arguments)
{
  names_release (&arguments->exclude);
  names_release (&arguments->exclude_paths);
  if (arguments->object)
    json_object_put (arguments->object);
}

static int need_source (const struct build_arguments *arguments, struct err *err)
{
  if (!arguments->source)
    return err_code (err, ERR_USAGE, "-s SOURCE is missing behind \"--\"");
  return 0;
}

static int parse_clone (struct build_arguments *arguments, struct err *err)
{
  return need_source (arguments, err);
}

/* {"source": …} for SOURCE of the command line; @kind, which may be NULL, must be its kind. */
static int object_from_text (struct build_arguments *arguments, const char *kind, struct err *err)
{
  if (need_source (arguments, err) < 0)
    return -err->code;
  json_object *source = kind_source_from_text (arguments->source, err);
  if (!source)
    return -err->code;
  const char *type = json_object_get_string (json_object_object_get (source, "type"));
  arguments->object = json_object_new_object ();
  json_put (arguments->object, "source", source);
  if (kind && strcmp (type, kind) != 0)
    return err_code (err, ERR_USAGE, "\"%s\" is no source of the kind %s, but %s",
                     arguments->source, kind, type);
  return 0;
}

static int parse_template (struct build_arguments *arguments, struct err *err)
{
  return object_from_text (arguments, NULL, err);
}

static int parse_oci (struct build_arguments *arguments, struct err *err)
{
  return object_from_text (arguments, "oci", err);
}

static int parse_bootstrap (struct build_arguments *arguments, struct err *err)
{
  autofree char *path = NULL;

  if (!arguments->definition && need_source (arguments, err) < 0)
    return -err->code;
  if (definition_read (arguments->source, arguments->definition, &arguments->object, &path, err) <
      0)
    return -err->code;
  json_object *source = json_object_object_get (arguments->object, "source");
  json_object *type = source ? json_object_object_get (source, "type") : NULL;
  if (!type || !json_object_is_type (type, json_type_string) ||
      strcmp (json_object_get_string (type), "bootstrap") != 0)
    return err_code (err, ERR_USAGE,
                     "%s does not bootstrap a system: make a template of it by \"vtemplate "
                     "build\", and guests by -m clone",
                     path);
  return 0;
}

static int parse_rsync (struct build_arguments *arguments, struct err *err)
{
  json_object *source = json_object_new_object ();

  arguments->object = json_object_new_object ();
  json_put (arguments->object, "source", source);
  json_set_string (source, "type", "rsync");
  if (need_source (arguments, err) < 0)
    return -err->code;
  json_set_string (source, "from", arguments->source);
  if (arguments->exclude_paths.count) {
    json_object *exclude = json_object_new_array ();

    json_put (source, "exclude", exclude);
    for (size_t i = 0; i < arguments->exclude_paths.count; i++)
      json_append (exclude, json_object_new_string (arguments->exclude_paths.items[i]));
  }
  return 0;
}

static int parse_skeleton (struct build_arguments *arguments, struct err *err)
{
  json_object *source = json_object_new_object ();

  (void) err;
  arguments->object = json_object_new_object ();
  json_put (arguments->object, "source", source);
  json_set_string (source, "type", "skeleton");
  return 0;
}

/* Which options a method takes. */
enum { SOURCE = 1, EXCLUDE = 2, DEFINITION = 4, CREDS = 8, PATHS = 16 };

static const struct method {
  const char *name;
  unsigned options;
  int (*parse) (struct build_arguments *arguments, struct err *err);
} methods[] = {
    {"clone", SOURCE | EXCLUDE, parse_clone},
    {"template", SOURCE | EXCLUDE | CREDS, parse_template},
    {"bootstrap", SOURCE | EXCLUDE | DEFINITION, parse_bootstrap},
    {"oci", SOURCE | EXCLUDE | CREDS, parse_oci},
    {"rsync", SOURCE | EXCLUDE | PATHS, parse_rsync},
    {"skeleton", 0, parse_skeleton},
};

enum { METHODS = sizeof methods / sizeof methods[0] };

static const struct method *find_method (const char *name, struct err *err)
{
  static const char list[] = "clone, template, bootstrap, oci, rsync and skeleton";

  for (size_t i = 0; name && i < METHODS; i++)
    if (strcmp (methods[i].name, name) == 0)
      return &methods[i];
  if (name)
    err_code (err, ERR_USAGE, "unknown method \"%s\"; the methods are %s", name, list);
  else
    err_code (err, ERR_USAGE, "-m METHOD is missing; the methods are %s", list);
  return NULL;
}

int build_method_parse (struct context *context, struct build_arguments *arguments, int argc,
                        char **argv, struct err *err)
{
  const struct method *method = find_method (arguments->method, err);
  const struct option_spec all[] = {
      {"source", 's', "SOURCE", "where it comes from", NULL, &arguments->source, NULL},
      {"exclude-from", 'X', "FILE", "patterns of what to leave out", NULL, NULL,
       &arguments->exclude},
      {"definition", 'd', "FILE", "a definition", NULL, &arguments->definition, NULL},
      {"creds", 0, "USER:PASSWORD", "for the source's host", NULL, &arguments->creds, NULL},
      {"exclude", 0, "PATTERN", "what rsync leaves out", NULL, NULL, &arguments->exclude_paths},
  };
  struct option_spec specs[sizeof all / sizeof all[0] + 1];
  size_t count = 0;
  int first, dashes;

  if (!method)
    return -err->code;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (method->options & 1U << i)
      specs[count++] = all[i];
  specs[count] = (struct option_spec){NULL, 0, NULL, NULL, NULL, NULL, NULL};
  if (options_parse (context, specs, /* stop_early= */ false, "", argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  return method->parse (arguments, err);
}

static int make_tree (struct vroot *root, const struct build_arguments *arguments,
                      struct import *import, struct build_source *ret_source, struct err *err)
{
  const struct import_options options = {.creds = arguments->creds,
                                         .run_steps = template_run_steps};
  autodefinition struct definition definition = {0};
  const char *what = arguments->source ? arguments->source : arguments->method;

  if (definition_from_object (arguments->object, what, &definition, err) < 0 ||
      import_fetch (root, NULL, &definition, &options, import, err) < 0 ||
      import_complete (import, err) < 0)
    return -err->code;
  import->options = NULL;
  if (!import->writer.report.files && strcmp (arguments->method, "skeleton") != 0)
    return err_code (err, EINVAL, "%s has no files", what);
  source_of_import (import, arguments->method, ret_source);
  return 0;
}

int build_method_open (struct context *context, struct vroot *root,
                       const struct build_arguments *arguments, struct import *import,
                       struct build_source *ret_source, struct err *err)
{
  if (arguments->object)
    return make_tree (root, arguments, import, ret_source, err);
  if (pull_template (context, root, arguments->source, arguments->pull, err) < 0)
    return -err->code;
  return source_open (root, arguments->source, ret_source, err);
}
