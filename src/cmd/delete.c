/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES delete [--yes] */
#include "cmd/cmd.h"
#include "guest/remove.h"
#include "runtime/live.h"
#include "template/generation.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAMES delete [--yes]\n"
    "Deletes guests and frees what only they used. NAMES are names, ranges and globs. Asks on a\n"
    "terminal; elsewhere --yes is needed. Guests that are mounted are refused.\n";

static int ask (const struct names *names, bool yes, struct err *err)
{
  autostrbuf struct strbuf text = STRBUF_INIT (SIZE_MAX / 2);
  autofree char *action =
      xasprintf ("delete %zu guest%s", names->count, names->count > 1 ? "s" : "");

  strbuf_adds (&text, "Delete with all their data:");
  for (size_t i = 0; i < names->count; i++)
    strbuf_addf (&text, " %s", names->items[i]);
  return confirm (yes, action, strbuf_str (&text), err);
}

static void print_report (const struct context *context, const struct names *names,
                          const struct err *errs, const struct remove_result *result)
{
  autojson json_object *object = json_object_new_object ();
  json_object *deleted = json_object_new_array (), *failed = json_object_new_array ();

  progress_clear ();
  for (size_t i = 0; i < names->count; i++) {
    const char *name = names->items[i];

    if (errs[i].code) {
      json_object *entry = json_object_new_object ();

      if (names->count > 1)
        print_error ("%s: %s", name, err_text (&errs[i]));
      json_set_string (entry, "name", name);
      json_set_string (entry, "error", err_text (&errs[i]));
      json_object_array_add (failed, entry);
    } else {
      if (!context->quiet && !context->json)
        printf ("%s: deleted\n", name);
      json_object_array_add (deleted, json_object_new_string (name));
    }
  }
  autofree char *freed = format_bytes (result->freed_bytes);
  if (!context->quiet && !context->json)
    printf ("%s freed%s\n", freed,
            result->collected ? ""
                              : "; another command is using the store: what else became unused "
                                "is freed by a later one");
  json_object_object_add (object, "deleted", deleted);
  json_object_object_add (object, "failed", failed);
  json_set_int (object, "freed_bytes", (int64_t) result->freed_bytes);
  json_set_bool (object, "collected", result->collected);
  if (context->json)
    print_json (object);
}

static int delete (const struct context *context, struct vroot *root, const struct names *names,
                   struct err *err)
{
  struct err *errs = xcalloc (names->count, sizeof *errs);
  struct remove_result result = {0};
  size_t failed = 0;
  int ret = guests_remove (root, names, errs, &result, err);

  /* Some may have been the last to lie over a template that was deleted. */
  if (ret == 0)
    ret = templates_free_deleted (root, err);
  if (ret == 0)
    print_report (context, names, errs, &result);
  for (size_t i = 0; i < names->count; i++)
    failed += errs[i].code != 0;
  if (ret == 0 && failed && names->count == 1) {
    *err = errs[0];
    errs[0] = (struct err){0};
    ret = -err->code;
  } else if (ret == 0 && failed) {
    ret = err_code (err, ERR_SOME_FAILED, "%zu of %zu guests could not be deleted", failed,
                    names->count);
  }
  for (size_t i = 0; i < names->count; i++)
    err_release (&errs[i]);
  free (errs);
  return ret;
}

int cmd_delete (struct context *context, int argc, char **argv, struct err *err)
{
  bool yes = false;
  const struct option_spec specs[] = {
      {"yes", 'y', NULL, "do not ask", &yes, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};

  if (options_parse_only (context, specs, usage, argc, argv, err) < 0)
    return -err->code;
  if (context_select (context, &names, err) < 0 || ask (&names, yes, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0)
    return -err->code;
  interrupt_install ();
  if (live_recover_all (root, &names, err) < 0)
    return -err->code;
  return delete (context, root, &names, err);
}
