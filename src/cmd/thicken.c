/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES thicken */
#include "cmd/cmd.h"
#include "guest/thicken.h"
#include "template/generation.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAMES thicken\n"
    "Makes thin guests full ones: their trees get links to all files of the template\n"
    "that they lie over, and do not need it any more. They must be stopped. A guest\n"
    "that is not thin stays as it is.\n";

/* What came of one guest. */
struct row {
  struct err err; /* owned */
  bool thin;      /* it was */
  struct clone_counts counts;
  double seconds;
};

static int thicken (struct vroot *root, const char *name, struct row *row)
{
  autoguest struct guest *guest = NULL;
  uint64_t start = clock_us ();

  if (guest_open (root, name, GUEST_LOCKED, &guest, &row->err) < 0)
    return -row->err.code;
  int running = guest_running (guest, &row->err);
  /* One that runs is refused below. */
  if (running < 0 || (!running && live_recover (root, guest, &row->err) < 0))
    return -row->err.code;
  int ret = guest_thicken (root, guest, &row->counts, &row->err);
  row->thin = ret > 0;
  row->seconds = clock_seconds_since (start);
  return ret;
}

static json_object *row_to_json (const char *name, const struct row *row)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "name", name);
  json_set_bool (object, "ok", row->err.code == 0);
  if (row->err.code) {
    json_set_string (object, "error", err_text (&row->err));
    return object;
  }
  json_set_bool (object, "was_thin", row->thin);
  json_set_int (object, "files", (int64_t) row->counts.files);
  json_object_object_add (object, "seconds", json_object_new_double (row->seconds));
  return object;
}

static void print_row (const struct context *context, const char *name, const struct row *row,
                       bool several)
{
  if (row->err.code) {
    if (several)
      print_error ("%s: %s", name, err_text (&row->err));
  } else if (!context->json && !context->quiet) {
    if (row->thin)
      printf ("%s: full now (%" PRIu64 " files, %.2f s)\n", name, row->counts.files, row->seconds);
    else
      printf ("%s: is not thin\n", name);
  }
}

/* Prints what came of the guests. The error of a single one is handed on. */
static int report (const struct context *context, const struct names *names, struct row *rows,
                   struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *list = json_object_new_array ();
  size_t failed = 0, thin = 0;

  progress_clear ();
  json_put (object, "guests", list);
  for (size_t i = 0; i < names->count; i++) {
    print_row (context, names->items[i], &rows[i], names->count > 1);
    json_append (list, row_to_json (names->items[i], &rows[i]));
    failed += rows[i].err.code != 0;
    thin += rows[i].thin;
  }
  if (context->json)
    print_json (object);
  if (failed && names->count == 1)
    return err_code (err, rows[0].err.code, "%s", err_text (&rows[0].err));
  if (failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, names->count);
  return thin ? 0 : err_code (err, ERR_NOTHING, "there was no thin guest");
}

int cmd_thicken (struct context *context, int argc, char **argv, struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};

  if (options_parse_only (context, none, usage, argc, argv, err) < 0)
    return -err->code;
  if (context_select (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0)
    return -err->code;
  interrupt_install ();
  struct row *rows = xcalloc (names.count, sizeof *rows);
  for (size_t i = 0; i < names.count; i++)
    if (interrupt_check (&rows[i].err) == 0)
      thicken (root, names.items[i], &rows[i]);
  int ret = templates_free_deleted (root, err);
  if (ret == 0)
    ret = report (context, &names, rows, err);
  for (size_t i = 0; i < names.count; i++)
    err_release (&rows[i].err);
  free (rows);
  return interrupt_pending () ? interrupt_check (err) : ret;
}
