/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES rollback [ID]
 *
 * --json prints, and keeps to:
 *   {"guests": [{"name", "undone": [id], "transactions": [id]: those that undid them, "error": text
 *    or null}]}
 * and with --dry-run
 *   {"guests": [{"name", "transactions": [{"id", "command", "changes": [{"change": "restore" |
 *    "revert" | "remove", "path", "directory": bool}]}], "error"}]} */
#include "cmd.h"
#include "guest/rollback.h"
#include "util/interrupt.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAMES rollback [ID] [-y] [-n]\n"
    "Undo the last transaction of stopped guests; with ID, which is for a single guest, that one\n"
    "and all after it, back to the state before. `vguest NAMES history` shows them. Paths that a "
    "transaction changed get\n"
    "what they had before it, also those that were changed since; all others stay. A rollback is\n"
    "a transaction itself, and can be undone by the next one.\n\n"
    "Asks on a terminal; elsewhere --yes is needed. Exit status: 4 when there was nothing that\n"
    "could be undone, 3 when it failed for some of several guests.\n";

/* One guest. */
struct row {
  struct rollback plan; /* owned; of what was decided */
  struct err err;       /* owned */
  json_object *object;  /* owned */
};

struct run {
  struct context *context; /* borrowed */
  struct vroot *root;      /* owned */
  struct names names;      /* owned */
  struct row *rows;        /* owned */
  uint64_t id;
  bool yes;
  bool dry_run;
};

static void run_release (struct run *run)
{
  for (size_t i = 0; i < run->names.count && run->rows; i++) {
    rollback_release (&run->rows[i].plan);
    err_release (&run->rows[i].err);
    if (run->rows[i].object)
      json_object_put (run->rows[i].object);
  }
  free (run->rows);
  names_release (&run->names);
  cleanup_root (&run->root);
}
#define autorun __attribute__ ((cleanup (run_release)))

static int parse_id (const char *text, uint64_t *ret_id, struct err *err)
{
  size_t len = strspn (text, "0123456789");

  *ret_id = len && len < 19 && !text[len] ? strtoull (text, NULL, 10) : 0;
  return *ret_id ? 0 : err_code (err, ERR_USAGE, "\"%.40s\" is no number of a transaction", text);
}

/* What is to be undone, with the guest's lock for a moment. */
static void plan_all (struct run *run)
{
  for (size_t i = 0; i < run->names.count; i++) {
    struct row *row = &run->rows[i];
    autoguest struct guest *guest = NULL;

    if (guest_open (run->root, run->names.items[i], GUEST_LOCKED, &guest, &row->err) == 0)
      rollback_plan (run->root, guest, run->id, &row->plan, &row->err);
    row->object = json_object_new_object ();
    json_set_string (row->object, "name", run->names.items[i]);
  }
}

static const char *what_of (const struct row *row, size_t i)
{
  return history_find (&row->plan.history, row->plan.ids[i])->what;
}

static int ask (const struct run *run, struct err *err)
{
  autostrbuf struct strbuf text = STRBUF_INIT (SIZE_MAX / 2);
  size_t count = 0;

  strbuf_adds (&text, "Undo:");
  for (size_t i = 0; i < run->names.count; i++)
    for (size_t k = 0; k < run->rows[i].plan.count; k++) {
      autofree char *what = format_text (what_of (&run->rows[i], k));

      strbuf_addf (&text, "\n  %s: %" PRIu64 " (%s)", run->names.items[i], run->rows[i].plan.ids[k],
                   what);
      count++;
    }
  if (!count)
    return 0;
  autofree char *action = xasprintf ("undo %zu transaction%s", count, count > 1 ? "s" : "");
  return confirm (run->yes, action, strbuf_str (&text), err);
}

static int undo_one (const struct run *run, struct row *row, struct guest *guest, size_t i,
                     json_object *done, json_object *by, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  uint64_t id = 0;

  if (interrupt_check (err) < 0 ||
      rollback_undo (run->root, guest, &row->plan, i, &report, &id, err) < 0)
    return -err->code;
  json_append (done, json_object_new_int64 ((int64_t) row->plan.ids[i]));
  json_append (by, json_object_new_int64 ((int64_t) id));
  if (report.failed)
    print_warning ("guest %s: %" PRIu64 " files could not be shared: %s", guest->name,
                   report.failed, report.first_error ? report.first_error : "");
  if (!run->context->quiet && !run->context->json) {
    autofree char *what = format_text (what_of (row, i));

    printf ("%s: undone: %" PRIu64 " (%s)\n", guest->name, row->plan.ids[i], what);
  }
  return 0;
}

/* As it was decided before the question; what came since must be decided about anew. */
static int undo_guest (const struct run *run, const char *name, struct row *row)
{
  autoguest struct guest *guest = NULL;
  autorollback struct rollback now = {0};
  struct err *err = &row->err;
  json_object *done = json_object_new_array (), *by = json_object_new_array ();

  json_put (row->object, "undone", done);
  json_put (row->object, "transactions", by);
  if (guest_open (run->root, name, GUEST_LOCKED, &guest, err) < 0 ||
      rollback_plan (run->root, guest, row->plan.ids[row->plan.count - 1], &now, err) < 0)
    return -err->code;
  if (now.count != row->plan.count || now.ids[0] != row->plan.ids[0])
    return err_code (err, ESTALE, "guest %s has new transactions: look at its history", name);
  for (size_t i = 0; i < row->plan.count; i++)
    if (undo_one (run, row, guest, i, done, by, err) < 0)
      return err_wrap (err, "guest %s", name);
  return 0;
}

static const char *change_name (enum undo_change change)
{
  return change == UNDO_RESTORE ? "restore" : change == UNDO_REVERT ? "revert" : "remove";
}

static int print_change (void *data, enum undo_change change, const char *path, bool directory,
                         struct err *err)
{
  autofree char *text = format_text (path);

  (void) data;
  (void) err;
  printf ("  %-8s /%s%s\n", change_name (change), text, directory ? "/" : "");
  return 0;
}

static int add_change (void *data, enum undo_change change, const char *path, bool directory,
                       struct err *err)
{
  json_object *object = json_object_new_object ();
  autofree char *absolute = xasprintf ("/%s", path);

  (void) err;
  json_set_string (object, "change", change_name (change));
  json_set_bytes (object, "path", absolute, strlen (absolute));
  json_set_bool (object, "directory", directory);
  json_append (data, object);
  return 0;
}

static int list_guest (const struct run *run, const char *name, struct row *row)
{
  autoguest struct guest *guest = NULL;
  json_object *list = json_object_new_array ();
  struct err *err = &row->err;

  json_put (row->object, "transactions", list);
  if (guest_open (run->root, name, GUEST_LOCKED, &guest, err) < 0)
    return -err->code;
  for (size_t i = 0; i < row->plan.count; i++) {
    json_object *object = json_object_new_object (), *changes = json_object_new_array ();
    uint64_t id = row->plan.ids[i];
    bool json = run->context->json;
    autofree char *what = format_text (what_of (row, i));

    json_set_int (object, "id", (int64_t) id);
    json_set_string (object, "command", what_of (row, i));
    json_put (object, "changes", changes);
    json_append (list, object);
    if (!json)
      printf ("%s: %" PRIu64 " (%s)\n", name, id, what);
    if (rollback_list (guest, id, json ? add_change : print_change, changes, err) < 0)
      return err_wrap (err, "guest %s", name);
  }
  return 0;
}

static int conclude (struct run *run, struct err *err)
{
  json_object *guests = json_object_new_array ();
  autojson json_object *object = json_object_new_object ();
  size_t failed = 0, nothing = 0;

  json_put (object, "guests", guests);
  for (size_t i = 0; i < run->names.count; i++) {
    struct row *row = &run->rows[i];
    bool bad = row->err.code != 0;

    json_put (row->object, "error", bad ? json_object_new_string (err_text (&row->err)) : NULL);
    json_append (guests, steal_ptr (&row->object));
    failed += bad;
    nothing += row->err.code == ERR_NOTHING;
    if (bad && run->names.count > 1)
      print_error ("%s", err_text (&row->err));
  }
  if (run->context->json)
    print_json (object);
  if (failed && run->names.count == 1)
    return err_code (err, run->rows[0].err.code, "%s", err_text (&run->rows[0].err));
  if (nothing && nothing == run->names.count)
    return err_code (err, ERR_NOTHING, "there was nothing to undo");
  return failed
             ? err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, run->names.count)
             : 0;
}

static int roll_back (struct run *run, struct err *err)
{
  run->rows = xcalloc (run->names.count, sizeof *run->rows);
  plan_all (run);
  if (!run->dry_run && ask (run, err) < 0)
    return -err->code;
  for (size_t i = 0; i < run->names.count; i++) {
    struct row *row = &run->rows[i];

    if (row->err.code || interrupt_check (&row->err) < 0)
      continue;
    if (run->dry_run)
      list_guest (run, run->names.items[i], row);
    else
      undo_guest (run, run->names.items[i], row);
  }
  int ret = conclude (run, err);
  return interrupt_pending () ? interrupt_check (err) : ret;
}

int cmd_rollback (struct context *context, int argc, char **argv, struct err *err)
{
  autorun struct run run = {.context = context};
  const struct option_spec specs[] = {
      {"yes", 'y', NULL, "do not ask", &run.yes, NULL, NULL},
      {"dry-run", 'n', NULL, "only tell what would change", &run.dry_run, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (argc - first > 1)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first + 1]);
  if (first < argc && parse_id (argv[first], &run.id, err) < 0)
    return -err->code;
  if (context_select (context, &run.names, err) < 0)
    return -err->code;
  if (run.id && run.names.count > 1)
    return err_code (err, ERR_USAGE, "a number of a transaction is for a single guest, not for %zu",
                     run.names.count);
  interrupt_install ();
  if (context_open_root (context, /* write= */ true, &run.root, err) < 0)
    return -err->code;
  return roll_back (&run, err);
}
