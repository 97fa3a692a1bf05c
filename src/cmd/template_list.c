/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate list */
#include "cmd.h"
#include "template/generation.h"
#include "util/age.h"
#include "util/fd.h"

struct list {
  struct vroot *root;
  struct template_uses uses;
  json_object *array; /* borrowed; NULL: rows of text */
};

static int print_row (const struct list *list, const struct template *template, bool newest,
                      struct err *err)
{
  const char *created = NULL, *os = NULL;
  int64_t files = 0, bytes = 0;

  if (json_get_string (template->info, "created", "", &created, err) < 0 ||
      json_get_string (template->info, "os", "-", &os, err) < 0 ||
      json_get_int (template->info, "files", 0, &files, err) < 0 ||
      json_get_int (template->info, "bytes", 0, &bytes, err) < 0)
    return err_wrap (err, "template %s", template->name);
  autofree char *size = format_bytes ((uint64_t) bytes);
  autofree char *age = age_format (age_of_stamp (created));
  autofree char *name =
      newest ? xstrdup (template->name) : xasprintf ("%s@%u", template->name, template->generation);
  printf ("%-24s %10u %8s %6zu %9lld %10s  %s\n", name, template->generation, age,
          template_uses_count (&list->uses, template->name, template->generation),
          (long long) files, size, os);
  return 0;
}

/* What template.json says, and what changes by itself. */
static json_object *describe (const struct list *list, const struct template *template,
                              struct err *err)
{
  json_object *object = NULL;
  const char *created = NULL;

  if (json_get_string (template->info, "created", "", &created, err) < 0)
    return NULL;
  if (json_object_deep_copy (template->info, &object, NULL) < 0)
    err_out_of_memory ();
  json_set_int (object, "age_seconds", age_of_stamp (created));
  json_set_int (object, "guests",
                (int64_t) template_uses_count (&list->uses, template->name, template->generation));
  const struct names *thin = template_uses_thin (&list->uses, template->name, template->generation);
  json_object *array = json_object_new_array ();
  for (size_t i = 0; thin && i < thin->count; i++)
    json_append (array, json_object_new_string (thin->items[i]));
  json_put (object, "thin_guests", array);
  return object;
}

/* Opens a generation; 0 without one when it was deleted since the list was read. */
static int open_generation (const struct list *list, const char *name, unsigned generation,
                            struct template **ret_template, struct err *err)
{
  if (template_peek (list->root, name, generation, ret_template, err) == 0)
    return 1;
  if (err->code != ERR_NO_GUEST)
    return -err->code;
  err_release (err);
  return 0;
}

/* The newest generation first, then what is left of older ones, which in JSON are "older" of it. */
static int list_template (const struct list *list, const char *name, struct err *err)
{
  autogenerations struct generations generations = {0};
  autoclose int name_fd = fd_open_dir (list->root->templates_fd, name);
  json_object *older = NULL;

  if (name_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open templates/%s", name);
  if (template_generations (name_fd, &generations, err) < 0)
    return err_wrap (err, "template %s", name);
  for (size_t i = generations.count; i-- > 0;) {
    autotemplate struct template *template = NULL;
    bool newest = i + 1 == generations.count;
    int ret = open_generation (list, name, generations.items[i], &template, err);

    if (ret > 0 && !list->array)
      ret = print_row (list, template, newest, err);
    if (ret < 0)
      return ret;
    if (!template || !list->array)
      continue;
    json_object *object = describe (list, template, err);
    if (!object)
      return -err->code;
    json_append (older ? older : list->array, object);
    if (!older) {
      older = json_object_new_array ();
      json_put (object, "older", older);
    }
  }
  return 0;
}

int cmd_template_list (struct context *context, int argc, char **argv, struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  static const char usage[] =
      "Usage: vtemplate list [OPTION…]\n"
      "Shows the templates there are: each with its newest generation, its age, and how many\n"
      "guests were made from it; below it older ones, NAME@GENERATION.\n";
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  autojson json_object *object = json_object_new_object ();
  struct list list = {0};
  int first, dashes, ret = 0;

  if (options_parse (context, none, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  if (argc > first)
    return err_code (err, ERR_USAGE, "\"%s\" is not expected; see --help", argv[first]);
  if (context_open_root (context, /* write= */ false, &root, err) < 0 ||
      template_list (root, &names, NULL, err) < 0 || template_uses_read (root, &list.uses, err) < 0)
    return -err->code;
  list.root = root;
  list.array = context->json ? json_object_new_array () : NULL;
  if (context->json)
    json_put (object, "templates", list.array);
  else if (names.count)
    printf ("%-24s %10s %8s %6s %9s %10s  %s\n", "NAME", "GENERATION", "AGE", "GUESTS", "FILES",
            "SIZE", "SYSTEM");
  for (size_t i = 0; ret == 0 && i < names.count; i++)
    ret = list_template (&list, names.items[i], err);
  template_uses_release (&list.uses);
  if (ret == 0 && context->json)
    print_json (object);
  return ret;
}
