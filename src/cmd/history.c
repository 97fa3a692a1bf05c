/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES history
 *
 * --json prints, and keeps to:
 *   {"guests": [{"name", "transactions": [{"id", "time": UTC, "command", "mode": "stopped" |
 *    "offline" | "running", "result": "done" | "failed", "packages_changed", "packages": [{"name",
 *    "old", "new"}] or null, "bytes_written", "milliseconds", "log": path or null, "undo": bool,
 * "undoes": id or null, "rolled_back_by": id or null, "pending": bool}], "failed": {"time",
 * "command", "log"} or null: the layer that is kept}]} */
#include "cmd.h"
#include "guest/failed.h"
#include <inttypes.h>

enum { COMMAND_WIDTH_MAX = 60 };

static const char usage[] =
    "Usage: vguest NAMES history [--drop-undo] [--drop-failed]\n"
    "Show the transactions of guests: what ran, and whether it can be undone with rollback. The\n"
    "setting keep_transactions says for how many of the last ones that is kept.\n";

struct show {
  struct context *context; /* borrowed */
  struct vroot *root;      /* owned */
  bool drop_undo;
  bool drop_failed;
  json_object *guests; /* owned; with --json */
};

static const char *undo_text (const struct history_entry *entry)
{
  if (entry->rolled_back_by)
    return "rolled back";
  if (!history_has_effect (entry))
    return "-";
  return !entry->has_undo ? "no" : entry->pending ? "when stopped" : "yes";
}

static void put_id (json_object *object, const char *key, uint64_t id)
{
  json_put (object, key, id ? json_object_new_int64 ((int64_t) id) : NULL);
}

static void put_text (json_object *object, const char *key, const char *text)
{
  json_put (object, key, text ? json_object_new_string (text) : NULL);
}

/* The log's path; NULL without one. The caller's string. */
static char *log_path (const struct show *show, const char *guest,
                       const struct history_entry *entry)
{
  return entry->log ? xasprintf ("%s/guests/%s/%s", show->root->path, guest, entry->log) : NULL;
}

static json_object *entry_json (const struct show *show, const char *guest,
                                const struct history_entry *entry)
{
  json_object *object = json_object_new_object ();
  autofree char *log = log_path (show, guest, entry);

  put_id (object, "id", entry->id);
  json_set_string (object, "time", entry->time);
  json_set_string (object, "command", entry->what);
  json_set_string (object, "mode", history_mode_name (entry->mode));
  json_set_string (object, "result", entry->failed ? "failed" : "done");
  json_set_int (object, "packages_changed", (int64_t) entry->packages_changed);
  json_put (object, "packages", json_object_get (entry->packages));
  json_set_int (object, "bytes_written", (int64_t) entry->written_bytes);
  json_set_int (object, "milliseconds", (int64_t) entry->milliseconds);
  put_text (object, "log", log);
  json_set_bool (object, "undo", entry->has_undo);
  put_id (object, "undoes", entry->undoes);
  put_id (object, "rolled_back_by", entry->rolled_back_by);
  json_set_bool (object, "pending", entry->pending);
  return object;
}

static void add_json (const struct show *show, const char *name, const struct history *history,
                      const struct history_entry *failed)
{
  json_object *object = json_object_new_object (), *list = json_object_new_array ();
  json_object *kept = failed ? json_object_new_object () : NULL;
  autofree char *log = failed ? log_path (show, name, failed) : NULL;

  json_set_string (object, "name", name);
  for (size_t i = 0; i < history->count; i++)
    json_append (list, entry_json (show, name, &history->items[i]));
  json_put (object, "transactions", list);
  if (failed) {
    json_set_string (kept, "time", failed->time);
    json_set_string (kept, "command", failed->what);
    put_text (kept, "log", log);
  }
  json_put (object, "failed", kept);
  json_append (show->guests, object);
}

/* The width of the column of commands; they are cut at it. */
static int command_width (const struct history *history)
{
  size_t width = strlen ("COMMAND");

  for (size_t i = 0; i < history->count; i++)
    if (strlen (history->items[i].what) > width)
      width = strlen (history->items[i].what);
  return width > COMMAND_WIDTH_MAX ? COMMAND_WIDTH_MAX : (int) width;
}

static void print_table (const char *name, const struct history *history,
                         const struct history_entry *failed, bool several)
{
  int width = command_width (history);

  if (several)
    printf ("%s:\n", name);
  if (history->count)
    printf ("%4s  %-20s  %-*s  %-8s  %8s  %10s  %s\n", "ID", "TIME", width, "COMMAND", "RESULT",
            "PACKAGES", "WRITTEN", "UNDO");
  else
    printf ("No transactions.\n");
  for (size_t i = 0; i < history->count; i++) {
    const struct history_entry *entry = &history->items[i];
    autofree char *what = format_text (entry->what), *time = format_text (entry->time);
    autofree char *written = format_bytes (entry->written_bytes);

    printf ("%4" PRIu64 "  %-20s  %-*.*s  %-8s  %8" PRIu64 "  %10s  %s\n", entry->id, time, width,
            width, what, entry->failed ? "failed" : "done", entry->packages_changed, written,
            undo_text (entry));
  }
  if (failed) {
    autofree char *what = format_text (failed->what);

    printf ("The layer of a transaction that failed is kept: %s. See vguest %s enter --failed.\n",
            what, name);
  }
  if (several)
    printf ("\n");
}

static int drop (const struct show *show, struct guest *guest, struct err *err)
{
  size_t count = 0;

  if (show->drop_undo && history_drop_undo (show->root, guest, &count, err) < 0)
    return -err->code;
  int failed = show->drop_failed ? failed_drop (guest, err) : 0;
  if (failed < 0)
    return failed;
  if (show->context->quiet || show->context->json)
    return 0;
  if (show->drop_undo)
    printf ("%s: %zu transaction%s can no longer be undone\n", guest->name, count,
            count == 1 ? "" : "s");
  if (show->drop_failed)
    printf ("%s: %s\n", guest->name, failed ? "the failed layer is gone" : "no failed layer");
  return 0;
}

static int show_one (const struct show *show, const char *name, bool several, struct err *err)
{
  autohistoryentry struct history_entry failed = {0};
  autohistory struct history history = {0};
  autoguest struct guest *guest = NULL;
  bool dropping = show->drop_undo || show->drop_failed;

  if (guest_open (show->root, name, dropping ? GUEST_LOCKED : GUEST_PEEK, &guest, err) < 0)
    return -err->code;
  if (dropping && drop (show, guest, err) < 0)
    return -err->code;
  if (dropping && !show->context->json)
    return 0;
  int has_failed = failed_read (guest, &failed, err);
  if (has_failed < 0 || history_read (guest, &history, err) < 0)
    return -err->code;
  if (show->context->json)
    add_json (show, name, &history, has_failed ? &failed : NULL);
  else
    print_table (name, &history, has_failed ? &failed : NULL, several);
  return 0;
}

static int show_all (const struct show *show, const struct names *names, struct err *err)
{
  size_t failed = 0;

  for (size_t i = 0; i < names->count; i++) {
    autoerr struct err one = {0};

    if (show_one (show, names->items[i], names->count > 1, &one) == 0)
      continue;
    if (names->count == 1)
      return err_code (err, one.code, "%s", err_text (&one));
    print_error ("%s", err_text (&one));
    failed++;
  }
  return failed ? err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, names->count)
                : 0;
}

int cmd_history (struct context *context, int argc, char **argv, struct err *err)
{
  struct show show = {.context = context};
  const struct option_spec specs[] = {
      {"drop-undo", 0, NULL, "forget how to undo, which frees space", &show.drop_undo, NULL, NULL},
      {"drop-failed", 0, NULL, "remove the layer that --keep-failed kept", &show.drop_failed, NULL,
       NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};

  if (options_parse_only (context, specs, usage, argc, argv, err) < 0)
    return -err->code;
  if (context_select (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ show.drop_undo || show.drop_failed, &root, err) < 0)
    return -err->code;
  show.root = root;
  if (!context->json)
    return show_all (&show, &names, err);
  autojson json_object *object = json_object_new_object ();
  show.guests = json_object_new_array ();
  json_put (object, "guests", show.guests);
  int ret = show_all (&show, &names, err);
  print_json (object);
  return ret;
}
