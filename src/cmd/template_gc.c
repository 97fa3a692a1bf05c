/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vtemplate gc [NAME…] */
#include "cmd.h"
#include "guest/collect.h"
#include "template/generation.h"
#include "template/image_cache.h"
#include "util/interrupt.h"

enum { IMAGE_DAYS = 30 };

static void print_removed (const struct context *context, const char *name, bool dry_run,
                           const struct generations *removed, json_object *list)
{
  for (size_t i = 0; i < removed->count; i++) {
    if (context->json) {
      json_object *object = json_object_new_object ();

      json_set_string (object, "template", name);
      json_set_int (object, "generation", removed->items[i]);
      json_append (list, object);
    } else if (!context->quiet) {
      printf ("%s@%u %s\n", name, removed->items[i], dry_run ? "would be removed" : "removed");
    }
  }
}

/* What was fetched of images, and nobody wanted of late; with @all what anybody did as well. */
static int prune_images (const struct context *context, struct vroot *root, bool all, bool dry_run,
                         json_object *object, struct err *err)
{
  struct image_cache_pruned pruned = {0};

  if (image_cache_prune (root, all ? 0 : IMAGE_DAYS, dry_run, &pruned, err) < 0)
    return -err->code;
  if (context->json) {
    json_object *images = json_object_new_object ();

    json_set_int (images, "files", (int64_t) pruned.files);
    json_set_int (images, "bytes", (int64_t) pruned.bytes);
    json_put (object, "images", images);
  } else if (pruned.files && !context->quiet) {
    autofree char *size = format_bytes (pruned.bytes);

    printf ("%zu files of images, %s, %s\n", pruned.files, size,
            dry_run ? "would be removed" : "removed");
  }
  return 0;
}

int cmd_template_gc (struct context *context, int argc, char **argv, struct err *err)
{
  bool dry_run = false, images = false;
  const struct option_spec specs[] = {
      {"dry-run", 'n', NULL, "only tell what would be removed", &dry_run, NULL, NULL},
      {"images", 0, NULL, "with all that was fetched of images", &images, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  static const char usage[] = "Usage: vtemplate gc [OPTION…] [NAME…]\n"
                              "Removes the generations of the named, or of all, templates that are "
                              "not the newest and that\n"
                              "no guest was made from, and frees what only they used. Without a "
                              "NAME also removes\n"
                              "what was fetched of images and not wanted for 30 days.\n";
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  autojson json_object *object = json_object_new_object ();
  json_object *list = json_object_new_array ();
  struct gc_result freed = {0};
  size_t left_over = 0;
  uint64_t files = 0, own = 0;
  bool any = false;
  int first, dashes;

  json_put (object, "removed", list);
  if (options_parse (context, specs, false, usage, argc, argv, &first, &dashes, err) < 0)
    return -err->code;
  for (int i = first; i < argc; i++)
    names_add (&names, argv[i]);
  for (size_t i = 0; i < names.count; i++)
    if (name_check (names.items[i], "template", err) < 0)
      return -err->code;
  interrupt_install ();
  if (context_open_root (context, /* write= */ !dry_run, &root, err) < 0 ||
      ((images || !names.count) &&
       prune_images (context, root, images, dry_run, object, err) < 0) ||
      (!names.count && template_list (root, &names, NULL, err) < 0))
    return -err->code;
  for (size_t i = 0; i < names.count; i++) {
    autogenerations struct generations removed = {0};

    if (interrupt_check (err) < 0 ||
        generations_collect (root, names.items[i], dry_run, &removed, &own, err) < 0)
      return -err->code;
    files += own;
    print_removed (context, names.items[i], dry_run, &removed, list);
    any |= removed.count > 0;
  }
  if (!dry_run && templates_collect_deleted (root, &left_over, &own, err) < 0)
    return -err->code;
  files += own;
  any |= left_over > 0;
  if (any && !dry_run && root_collect_after (root, files, &freed, err) < 0)
    return -err->code;
  if (context->json)
    print_json (object);
  return 0;
}
