/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate info NAME */
#include "cmd.h"
#include "template/template.h"

static const char *member (json_object *object, const char *key)
{
  const char *text = json_object_get_string (json_object_object_get (object, key));

  return text ? text : "?";
}

/* "SHA256SUMS: openpgp FINGERPRINT", a line each. */
static void print_verified (json_object *list)
{
  for (size_t i = 0; i < json_object_array_length (list); i++) {
    json_object *entry = json_object_array_get_idx (list, i);

    if (json_object_is_type (entry, json_type_object))
      printf ("%-13s %s: %s %s\n", i ? "" : "verified:", member (entry, "what"),
              member (entry, "how"), member (entry, "by"));
  }
}

/* What has members of its own is for programs. */
static void print_member (const char *key, json_object *value)
{
  if (strcmp (key, "verified") == 0 && json_object_is_type (value, json_type_array)) {
    print_verified (value);
    return;
  }
  if (strcmp (key, "format") == 0 || json_object_is_type (value, json_type_object) ||
      json_object_is_type (value, json_type_array))
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
  static const char usage[] = "Usage: vtemplate info [OPTION…] NAME[@GENERATION]\n"
                              "Tells what a template is and where it comes from.\n";
  autoroot struct vroot *root = NULL;
  autotemplate struct template *template = NULL;
  autofree char *name = NULL;
  unsigned generation = 0;
  int first, dashes;

  if (options_parse (context, none, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc - first != 1)
    return err_code (err, ERR_USAGE, "the name of a template is expected; see --help");
  if (template_split (argv[first], &name, &generation, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0 ||
      template_peek (root, name, generation, &template, err) < 0)
    return -err->code;
  if (context->json) {
    print_json (template->info);
    return 0;
  }
  json_object_object_foreach (template->info, key, value)
  {
    print_member (key, value);
  }
  if (!json_object_object_get (template->info, "verified"))
    printf ("%-13s %s\n", "verified:", "nothing");
  return 0;
}
