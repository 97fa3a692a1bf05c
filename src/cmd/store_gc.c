/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vstore gc [-n] [--force] */
#include "cmd/cmd.h"
#include "guest/collect.h"
#include "util/interrupt.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vstore gc [-n] [--force]\n"
    "Removes the objects that no tree uses any more, and what killed commands left in staging. "
    "Others can work meanwhile. More than half of a store is not removed without --force.\n";

static int collect (struct vroot *root, bool force, struct gc_result *ret_result, struct err *err)
{
  const struct collect_options options = {.always = true, .wait = true, .force = force};

  return root_lock (root, err) < 0 ? -err->code : root_collect (root, &options, ret_result, err);
}

static void print_result (const struct context *context, bool dry_run,
                          const struct gc_result *result)
{
  autofree char *bytes = format_bytes (result->bytes);

  if (context->json) {
    autojson json_object *object = json_object_new_object ();

    json_set_bool (object, "dry_run", dry_run);
    json_set_int (object, "objects", (int64_t) result->objects);
    json_set_int (object, "bytes", (int64_t) result->bytes);
    json_set_int (object, "kept", (int64_t) result->kept);
    json_set_bool (object, "needs_force", result->refused);
    print_json (object);
  } else if (!context->quiet) {
    printf ("%s %" PRIu64 " objects, %s; %" PRIu64 " are in use%s\n",
            dry_run ? "would remove" : "removed", result->objects, bytes, result->kept,
            result->refused ? "; it would need --force" : "");
  }
}

int cmd_store_gc (struct context *context, int argc, char **argv, struct err *err)
{
  bool dry_run = false, force = false;
  const struct option_spec specs[] = {
      {"dry-run", 'n', NULL, "only tell what would be removed", &dry_run, NULL, NULL},
      {"force", 0, NULL, "also more than half of the store", &force, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  struct gc_result result = {0};

  if (options_parse_only (context, specs, usage, argc, argv, err) < 0)
    return -err->code;
  interrupt_install ();
  /* Opened for reading: opening for writing would collect already, and not tell. */
  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  if (dry_run ? root_collect_look (root, &result, err) < 0
              : collect (root, force, &result, err) < 0)
    return -err->code;
  print_result (context, dry_run, &result);
  return 0;
}
