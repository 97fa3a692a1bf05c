/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES check
 *
 * --json prints, and keeps to:
 *   {"guests": [{"name", "problems": COUNT, "findings": [{"kind": "group" | "form" | "lost" |
 *    "set-id" | "stray-id", "problem": bool, "path", "group": number or null, "text"}]}]}
 * and with --identity what check_identity.c says. */
#include "check_identity.h"
#include "view/check.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAMES check [--identity]\n"
    "Look over what guests show, without a lock, also while they run: hard links\n"
    "that are shared as groups, set-id files, and what a fold would not understand.\n"
    "With --identity: ids, keys and seeds that another guest has as well.\n"
    "The exit status is 0 when there is nothing to mend, 3 when there is.\n";

struct show {
  json_object *findings; /* borrowed; with --json */
  size_t problems;       /* of the guest that is looked over */
};

static void print_finding (const struct check_finding *finding)
{
  autofree char *path = format_text (finding->path), *text = format_text (finding->text);

  if (finding->kind == CHECK_GROUP)
    printf ("group %-6" PRIu64 "  %s\n", finding->group, path);
  else
    printf ("%-12s  %s: %s\n", check_kind_name (finding->kind), path, text);
}

static void take_finding (void *data, const struct check_finding *finding)
{
  struct show *show = data;

  show->problems += check_is_problem (finding->kind);
  if (!show->findings) {
    print_finding (finding);
    return;
  }
  json_object *object = json_object_new_object ();
  json_set_string (object, "kind", check_kind_name (finding->kind));
  json_set_bool (object, "problem", check_is_problem (finding->kind));
  json_set_bytes (object, "path", finding->path, strlen (finding->path));
  json_put (object, "group",
            finding->group ? json_object_new_int64 ((int64_t) finding->group) : NULL);
  json_set_bytes (object, "text", finding->text, strlen (finding->text));
  json_append (show->findings, object);
}

static int check_one (struct show *show, struct vroot *root, const char *name, json_object *guests,
                      bool several, struct err *err)
{
  autoguest struct guest *guest = NULL;
  json_object *object = NULL;

  *show = (struct show){0};
  if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0)
    return -err->code;
  if (guests) {
    object = json_object_new_object ();
    show->findings = json_object_new_array ();
    json_set_string (object, "name", name);
    json_put (object, "findings", show->findings);
    json_append (guests, object);
  } else if (several) {
    printf ("%s:\n", name);
  }
  int ret = check_guest (guest, take_finding, show, err);
  if (object)
    json_set_int (object, "problems", (int64_t) show->problems);
  return ret < 0 ? err_wrap (err, "guest %s", name) : 0;
}

static int check_all (struct vroot *root, const struct names *names, json_object *guests,
                      struct err *err)
{
  struct show show;
  size_t failed = 0;

  for (size_t i = 0; i < names->count; i++) {
    autoerr struct err one = {0};

    if (check_one (&show, root, names->items[i], guests, names->count > 1, &one) < 0) {
      if (names->count == 1)
        return err_code (err, one.code, "%s", err_text (&one));
      print_error ("%s", err_text (&one));
    } else if (!show.problems) {
      continue;
    }
    failed++;
  }
  return failed ? err_code (err, ERR_SOME_FAILED, "%zu of %zu guests have something to mend",
                            failed, names->count)
                : 0;
}

int cmd_check (struct context *context, int argc, char **argv, struct err *err)
{
  bool identity = false;
  const struct option_spec specs[] = {
      {"identity", 0, NULL, "ids and keys that another guest has as well", &identity, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};

  if (options_parse_only (context, specs, usage, argc, argv, err) < 0)
    return -err->code;
  if (context_select (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  if (identity)
    return check_identity (context, root, &names, err);
  if (!context->json)
    return check_all (root, &names, NULL, err);
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();
  json_put (object, "guests", guests);
  int ret = check_all (root, &names, guests, err);
  print_json (object);
  return ret;
}
