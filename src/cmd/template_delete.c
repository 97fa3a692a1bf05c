/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate delete NAME */
#include "cmd.h"
#include "template/generation.h"
#include "util/interrupt.h"

static void print_holders (const struct names *holders)
{
  printf ("its files stay as long as these thin guests lie over them:");
  for (size_t i = 0; i < holders->count; i++)
    printf (" %s", holders->items[i]);
  printf ("\n");
}

static void write_json (const char *name, const struct names *holders,
                        const struct gc_result *freed)
{
  autojson json_object *object = json_object_new_object ();
  json_object *array = json_object_new_array ();

  json_set_string (object, "template", name);
  json_set_int (object, "freed_bytes", (int64_t) freed->bytes);
  json_put (object, "thin_guests", array);
  for (size_t i = 0; i < holders->count; i++)
    json_append (array, json_object_new_string (holders->items[i]));
  print_json (object);
}

int cmd_template_delete (struct context *context, int argc, char **argv, struct err *err)
{
  bool yes = false;
  const struct option_spec specs[] = {
      {"yes", 'y', NULL, "do not ask", &yes, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  static const char usage[] =
      "Usage: vtemplate delete [OPTION…] NAME\n"
      "Removes a template and what only it used. Guests made from it stay; of a generation\n"
      "that thin guests lie over, the files stay until those are gone or thickened.\n";
  autoroot struct vroot *root = NULL;
  autonames struct names holders = {0};
  struct gc_result freed = {0};
  int first, dashes;

  if (options_parse (context, specs, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc - first != 1)
    return err_code (err, ERR_USAGE, "the name of a template is expected; see --help");
  const char *name = argv[first];
  if (context_open_root (context, /* write= */ true, &root, err) < 0)
    return -err->code;
  if (!yes) {
    /* Asked only about what is there, and not under its lock. */
    autotemplate struct template *template = NULL;
    autofree char *action = xasprintf ("delete the template %s", name);
    autofree char *text = xasprintf ("Delete the template %s. Guests made from it stay.", name);

    if (template_open (root, name, 0, &template, err) < 0 ||
        confirm (/* yes= */ false, action, text, err) < 0)
      return -err->code;
  }
  interrupt_install ();
  if (template_delete (root, name, &holders, &freed, err) < 0)
    return -err->code;
  if (!context->quiet && !context->json) {
    autofree char *bytes = format_bytes (freed.bytes);

    printf ("template %s deleted, %s freed\n", name, bytes);
    if (holders.count)
      print_holders (&holders);
  }
  if (context->json)
    write_json (name, &holders, &freed);
  return 0;
}
