/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate info NAME */
#include "cmd.h"
#include "template/template.h"

static void print_member (const char *key, json_object *value)
{
  if (strcmp (key, "format") == 0 || json_object_is_type (value, json_type_object))
    return;
  if (strcmp (key, "bytes") == 0) {
    autofree char *size = format_bytes ((uint64_t) json_object_get_int64 (value));

    printf ("%-13s %s\n", "size:", size);
    return;
  }
  autofree char *label = xasprintf ("%s:", key);
  printf ("%-13s %s\n", label, json_object_get_string (value));
}

int cmd_template_info (struct context *context, int argc, char **argv, struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  static const char usage[] = "Usage: vtemplate info [OPTION…] NAME\n"
                              "Tells what a template is and where it comes from.\n";
  autoroot struct vroot *root = NULL;
  autotemplate struct template *template = NULL;
  int first, dashes;

  if (options_parse (context, none, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc - first != 1)
    return err_code (err, ERR_USAGE, "the name of a template is expected; see --help");
  if (context_open_root (context, /* write= */ false, &root, err) < 0 ||
      template_open (root, argv[first], 0, &template, err) < 0)
    return -err->code;
  if (context->json) {
    print_json (template->info);
    return 0;
  }
  json_object_object_foreach (template->info, key, value)
  {
    print_member (key, value);
  }
  return 0;
}
