/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate build NAME */
#include "cmd.h"
#include "cmd/template_report.h"
#include "cmd/template_run.h"
#include "template/definition.h"
#include "template/import.h"
#include "util/json.h"

int cmd_template_build (struct context *context, int argc, char **argv, struct err *err)
{
  struct import_options import = {.run_steps = template_run_steps};
  const char *file = NULL;
  bool updates = false;
  const struct option_spec specs[] = {
      {"definition", 'd', "FILE", "a definition that is in no standard place", NULL, &file, NULL},
      {"creds", 0, "USER:PASSWORD", "for an image's registry", NULL, &import.creds, NULL},
      {"updates", 0, NULL, "start from the newest packages", &updates, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  static const char usage[] =
      "Usage: vtemplate build [OPTION…] NAME\n"
      "Makes the template NAME from the definition of that name, such as debian-12.\n";
  autoroot struct vroot *root = NULL;
  autojson json_object *object = NULL;
  autofree char *path = NULL;
  autodefinition struct definition definition = {0};
  struct writer_report report = {0};
  int first, dashes;

  if (options_parse (context, specs, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc - first != 1)
    return err_code (err, ERR_USAGE, "the name of a definition is expected; see --help");
  if (definition_read (argv[first], file, &object, &path, err) < 0)
    return -err->code;
  json_object *source = json_object_object_get (object, "source");
  if (updates && json_object_is_type (source, json_type_object))
    json_set_bool (source, "updates", true);
  if (definition_from_object (object, path, &definition, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0 ||
      import_definition (root, argv[first], &definition, &import, &report, err) < 0)
    return -err->code;
  return template_report_print (context, argv[first], &report);
}
