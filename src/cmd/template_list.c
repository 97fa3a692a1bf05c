/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate list */
#include "cmd.h"
#include "template/template.h"

static int print_row (const struct template *template, struct err *err)
{
  const char *created = NULL, *os = NULL;
  int64_t files = 0, bytes = 0;

  if (json_get_string (template->info, "created", "", &created, err) < 0 ||
      json_get_string (template->info, "os", "-", &os, err) < 0 ||
      json_get_int (template->info, "files", 0, &files, err) < 0 ||
      json_get_int (template->info, "bytes", 0, &bytes, err) < 0)
    return err_wrap (err, "template %s", template->name);
  autofree char *size = format_bytes ((uint64_t) bytes);
  printf ("%-24s %-20s %9lld %10s  %s\n", template->name, created, (long long) files, size, os);
  return 0;
}

int cmd_template_list (struct context *context, int argc, char **argv, struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  static const char usage[] = "Usage: vtemplate list [OPTION…]\n"
                              "Shows the templates there are.\n";
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  int first, dashes;

  if (options_parse (context, none, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc > first)
    return err_code (err, ERR_USAGE, "\"%s\" is not expected; see --help", argv[first]);
  if (context_open_root (context, /* write= */ false, &root, err) < 0 ||
      template_list (root, &names, err) < 0)
    return -err->code;
  autojson json_object *object = json_object_new_object ();
  json_object *array = json_object_new_array ();
  json_object_object_add (object, "templates", array);
  if (!context->json && names.count)
    printf ("%-24s %-20s %9s %10s  %s\n", "NAME", "CREATED", "FILES", "SIZE", "SYSTEM");
  for (size_t i = 0; i < names.count; i++) {
    autotemplate struct template *template = NULL;

    if (template_open (root, names.items[i], 0, &template, err) < 0) {
      if (err->code != ERR_NO_GUEST)
        return -err->code;
      err_release (err); /* deleted since the list was read */
      continue;
    }
    if (context->json)
      json_object_array_add (array, json_object_get (template->info));
    else if (print_row (template, err) < 0)
      return -err->code;
  }
  if (context->json)
    print_json (object);
  return 0;
}
