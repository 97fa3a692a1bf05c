/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME rename NEW */
#include "cmd/cmd.h"
#include "guest/rename.h"
#include "util/interrupt.h"

static const char usage[] =
    "Usage: vguest NAME rename NEW\n"
    "Gives a stopped guest another name. Its host name changes with it where it\n"
    "follows from the name, and guests that depend on it are told the new one.\n";

static void print_report (const struct context *context, const struct renaming *renaming)
{
  autojson json_object *object = json_object_new_object ();
  json_object *dependents = json_object_new_array ();

  for (size_t i = 0; i < renaming->commented.count; i++)
    warn_of_comments (renaming->commented.items[i]);
  json_set_string (object, "name", renaming->to);
  json_set_string (object, "old_name", renaming->from);
  if (renaming->hostname)
    json_set_string (object, "hostname", renaming->hostname);
  json_object_object_add (object, "dependents", dependents);
  for (size_t i = 0; i < renaming->told.count; i++)
    json_object_array_add (dependents, json_object_new_string (renaming->told.items[i]));
  if (context->json) {
    print_json (object);
    return;
  }
  if (context->quiet)
    return;
  printf ("%s: renamed to %s", renaming->from, renaming->to);
  if (renaming->hostname)
    printf (", host name %s", renaming->hostname);
  printf ("\n");
  for (size_t i = 0; i < renaming->told.count; i++)
    printf ("%s: depends on %s now\n", renaming->told.items[i], renaming->to);
}

int cmd_rename (struct context *context, int argc, char **argv, struct err *err)
{
  const struct option_spec specs[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  autorenaming struct renaming renaming = {0};
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (argc - first != 1)
    return err_code (err, ERR_USAGE, "one new name is expected; see --help");
  /* It is short: once begun it is finished. */
  interrupt_install ();
  if (name_check (argv[first], "guest", err) < 0 || context_select_one (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0 ||
      rename_prepare (root, names.items[0], argv[first], &renaming, err) < 0)
    return -err->code;
  /* What a killed monitor left bears the old name. */
  if (live_recover (root, renaming.guest, err) < 0 || rename_carry_out (root, &renaming, err) < 0)
    return -err->code;
  print_report (context, &renaming);
  return 0;
}
