/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vstore gc [-n] */
#include "cmd/cmd.h"
#include "guest/root.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vstore gc [-n]\n"
    "Removes the objects that no tree uses any more, and what killed commands left in staging.\n";

int cmd_store_gc (struct context *context, int argc, char **argv, struct err *err)
{
  bool dry_run = false;
  const struct option_spec specs[] = {
      {"dry-run", 'n', NULL, "only tell what would be removed", &dry_run, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  struct gc_result result = {0};
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  /* Opened for reading: opening for writing would sweep and collect already, and not tell. */
  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  if (dry_run ? store_gc (root->store, /* dry_run= */ true, &result, err) < 0
              : root_collect_waiting (root, &result, err) < 0)
    return -err->code;
  autofree char *bytes = format_bytes (result.bytes);
  if (context->json) {
    autojson json_object *object = json_object_new_object ();

    json_set_bool (object, "dry_run", dry_run);
    json_set_int (object, "objects", (int64_t) result.objects);
    json_set_int (object, "bytes", (int64_t) result.bytes);
    json_set_int (object, "kept", (int64_t) result.kept);
    print_json (object);
  } else if (!context->quiet) {
    printf ("%s %" PRIu64 " objects, %s; %" PRIu64 " are in use\n",
            dry_run ? "would remove" : "removed", result.objects, bytes, result.kept);
  }
  return 0;
}
