/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate import NAME SOURCE */
#include "cmd.h"
#include "cmd/template_report.h"
#include "template/definition.h"
#include "template/kind.h"

int cmd_template_import (struct context *context, int argc, char **argv, struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  static const char usage[] =
      "Usage: vtemplate import [OPTION…] NAME SOURCE\n"
      "Makes a template from an archive (tar, cpio, zip, 7-zip, ISO 9660 or xar, plain or\n"
      "compressed; \"-\" is stdin) or from a directory.\n";
  autoroot struct vroot *root = NULL;
  autodefinition struct definition definition = {0};
  struct writer_report report = {0};
  int first, dashes;

  if (options_parse (context, none, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc - first != 2)
    return err_code (err, ERR_USAGE, "a name and a source are expected; see --help");
  autojson json_object *object = json_object_new_object ();
  json_object *source = kind_source_from_text (argv[first + 1], err);
  if (!source)
    return -err->code;
  json_put (object, "source", source);
  if (definition_from_object (object, argv[first + 1], &definition, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0 ||
      import_definition (root, argv[first], &definition, NULL, &report, err) < 0)
    return -err->code;
  return template_report_print (context, argv[first], &report);
}
