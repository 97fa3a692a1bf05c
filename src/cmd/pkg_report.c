/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkg.h"
#include "util/fd.h"
#include <inttypes.h>

enum { PLAN_CHANGES = 12 };

static bool same_plan (const struct pkg_changes *a, const struct pkg_changes *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++) {
    const struct pkg_change *x = &a->items[i], *y = &b->items[i];

    if (x->action != y->action || strcmp (x->name, y->name) != 0 ||
        strcmp (x->old_version ? x->old_version : "", y->old_version ? y->old_version : "") != 0 ||
        strcmp (x->new_version ? x->new_version : "", y->new_version ? y->new_version : "") != 0)
      return false;
  }
  return true;
}

static void print_change (FILE *file, const struct pkg_change *change)
{
  const char *old = change->old_version, *new = change->new_version;

  if (change->action == PKG_REMOVE)
    fprintf (file, "remove %s", change->name);
  else if (old && new &&strcmp (old, new) != 0)
    fprintf (file, "%s %s → %s", change->name, old, new);
  else
    fprintf (file, "%s %s%s", pkg_action_name (change->action), change->name, "");
  if (change->action != PKG_REMOVE && !old && new)
    fprintf (file, " %s", new);
}

/* "web[1-31] (31 guests)", of those whose plan is that of @index. Marks them. */
static void print_names (FILE *file, const struct bulk_report *report, size_t index, bool *done)
{
  autonames struct names names = {0};

  for (size_t i = index; i < report->count; i++)
    if (!done[i] && report->rows[i].planned &&
        same_plan (&report->rows[i].plan, &report->rows[index].plan)) {
      done[i] = true;
      names_add (&names, report->rows[i].name);
    }
  autofree char *brief = names_brief (&names);
  fputs (brief, file);
  if (names.count > 1)
    fprintf (file, " (%zu guests)", names.count);
}

void pkg_print_plan (FILE *file, const struct bulk_report *report)
{
  autofree bool *done = xcalloc (report->count + 1, sizeof *done);

  for (size_t i = 0; i < report->count; i++) {
    const struct pkg_changes *plan = &report->rows[i].plan;

    if (done[i] || !report->rows[i].planned)
      continue;
    print_names (file, report, i, done);
    if (!plan->count)
      fputs (": nothing to do", file);
    else
      fprintf (file, ": %zu package%s: ", plan->count, plan->count == 1 ? "" : "s");
    for (size_t k = 0; k < plan->count && k < PLAN_CHANGES; k++) {
      fputs (k ? ", " : "", file);
      print_change (file, &plan->items[k]);
    }
    fputs (plan->count > PLAN_CHANGES ? ", …\n" : "\n", file);
  }
}

static int name_width (const struct bulk_report *report)
{
  size_t width = strlen ("GUEST");

  for (size_t i = 0; i < report->count; i++)
    if (strlen (report->rows[i].name) > width)
      width = strlen (report->rows[i].name);
  return (int) width;
}

static void print_list (const struct names *list, const char *text, const char *name, int width)
{
  if (!list->count)
    return;
  printf ("%-*s  %s", width, name, text);
  for (size_t i = 0; i < list->count; i++)
    printf ("%s %s", i ? "," : "", list->items[i]);
  putchar ('\n');
}

/* What is left for the administrator to do, or to look at. */
static void print_leftovers (const struct bulk_report *report, int width)
{
  for (size_t i = 0; i < report->count; i++) {
    const struct bulk_row *row = &report->rows[i];
    autofree char *bytes = format_bytes (row->waiting_bytes);

    if (row->waiting_files && row->shared_bytes < row->waiting_bytes)
      printf ("%-*s  is running: %" PRIu64 " files, %s, are shared when it stops\n", width,
              row->name, row->waiting_files, bytes);
    if (row->kept_failed)
      printf ("%-*s  what was done is kept for a look: vguest %s enter --failed\n", width,
              row->name, row->name);
    print_list (&row->restart, "is running: these still use old files:", row->name, width);
    print_list (&row->conffiles, "new configuration files left beside changed ones:", row->name,
                width);
  }
}

static void print_summary (const struct bulk_report *report)
{
  size_t counts[BULK_INTERRUPTED + 1] = {0};
  uint64_t written = 0, shared = 0;

  for (size_t i = 0; i < report->count; i++) {
    counts[report->rows[i].outcome]++;
    written += report->rows[i].written_bytes;
    shared += report->rows[i].shared_bytes;
  }
  autofree char *downloads = format_bytes (report->downloaded_bytes);
  autofree char *written_text = format_bytes (written);
  autofree char *shared_text = format_bytes (shared);
  printf ("%zu guests in %.1f s:", report->count, (double) report->milliseconds / 1e3);
  for (size_t i = 0, first = 1; i <= BULK_INTERRUPTED; i++)
    if (counts[i]) {
      printf ("%s %zu %s", first ? "" : ",", counts[i], bulk_outcome_name ((enum bulk_outcome) i));
      first = 0;
    }
  printf ("; %s written, %s of it shared again", written_text, shared_text);
  if (report->downloaded_files || report->cached_files)
    printf ("; %" PRIu64 " packages downloaded (%s), %" PRIu64 " were there",
            report->downloaded_files, downloads, report->cached_files);
  putchar ('\n');
}

void pkg_print_report (const struct bulk_report *report)
{
  int width = name_width (report);

  printf ("%-*s  %-11s  %8s  %10s  %10s  %8s  %s\n", width, "GUEST", "RESULT", "PACKAGES",
          "WRITTEN", "SHARED", "SECONDS", "LOG");
  for (size_t i = 0; i < report->count; i++) {
    const struct bulk_row *row = &report->rows[i];
    autofree char *written = format_bytes (row->written_bytes);
    autofree char *shared = format_bytes (row->shared_bytes);

    printf ("%-*s  %-11s  %8zu  %10s  %10s  %8.1f  %s\n", width, row->name,
            bulk_outcome_name (row->outcome), row->changes.count, written, shared,
            (double) row->milliseconds / 1e3, row->log ? row->log : "-");
    if (row->reason)
      printf ("%-*s  %s%s%s\n", width, "", row->phase ? row->phase : "", row->phase ? ": " : "",
              row->reason);
  }
  print_leftovers (report, width);
  if (report->count > 1)
    print_summary (report);
}

static json_object *strings_json (const struct names *names)
{
  json_object *array = json_object_new_array ();

  for (size_t i = 0; i < names->count; i++)
    json_append (array, json_object_new_string (names->items[i]));
  return array;
}

static void put_text (json_object *object, const char *key, const char *text)
{
  if (text)
    json_set_bytes (object, key, text, strlen (text));
  else
    json_put (object, key, NULL);
}

static json_object *row_json (const struct bulk_row *row)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "name", row->name);
  put_text (object, "manager", row->driver ? row->driver->name : NULL);
  json_set_string (object, "result", bulk_outcome_name (row->outcome));
  json_set_string (object, "mode", bulk_mode_name (row->mode));
  put_text (object, "phase", row->phase);
  json_set_int (object, "exit_status", row->exit_status);
  json_put (object, "plan", row->planned ? pkg_changes_json (&row->plan) : NULL);
  json_set_int (object, "packages_changed", (int64_t) row->changes.count);
  json_put (object, "changes", pkg_changes_json (&row->changes));
  json_put (object, "conffiles", strings_json (&row->conffiles));
  json_put (object, "restart", strings_json (&row->restart));
  json_set_int (object, "bytes_written", (int64_t) row->written_bytes);
  json_set_int (object, "bytes_shared", (int64_t) row->shared_bytes);
  json_set_int (object, "files_waiting", (int64_t) row->waiting_files);
  json_set_int (object, "bytes_waiting", (int64_t) row->waiting_bytes);
  json_set_int (object, "files_unshared", (int64_t) row->unshared_files);
  json_set_int (object, "milliseconds", (int64_t) row->milliseconds);
  json_put (object, "transaction",
            row->transaction ? json_object_new_int64 ((int64_t) row->transaction) : NULL);
  json_set_bool (object, "kept_failed", row->kept_failed);
  put_text (object, "log", row->log);
  put_text (object, "reason", row->reason);
  return object;
}

static json_object *report_json (const struct bulk_report *report)
{
  json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();
  int64_t counts[BULK_INTERRUPTED + 1] = {0};

  for (size_t i = 0; i < report->count; i++) {
    counts[report->rows[i].outcome]++;
    json_append (guests, row_json (&report->rows[i]));
  }
  json_put (object, "guests", guests);
  json_set_int (object, "done", counts[BULK_DONE]);
  json_set_int (object, "unchanged", counts[BULK_UNCHANGED]);
  json_set_int (object, "pending", counts[BULK_PENDING]);
  json_set_int (object, "skipped", counts[BULK_SKIPPED]);
  json_set_int (object, "failed",
                counts[BULK_FAILED] + counts[BULK_LOCKED] + counts[BULK_INTERRUPTED]);
  json_set_int (object, "refreshes", (int64_t) report->refreshes);
  json_set_int (object, "plans", (int64_t) report->plans);
  json_set_int (object, "files_downloaded", (int64_t) report->downloaded_files);
  json_set_int (object, "bytes_downloaded", (int64_t) report->downloaded_bytes);
  json_set_int (object, "files_cached", (int64_t) report->cached_files);
  json_set_int (object, "milliseconds", (int64_t) report->milliseconds);
  return object;
}

int pkg_write_json (const char *file, const struct bulk_report *report, struct err *err)
{
  autojson json_object *object = report_json (report);

  if (!file) {
    print_json (object);
    return 0;
  }
  const char *slash = strrchr (file, '/');
  autofree char *dir = slash ? xstrndup (file, (size_t) (slash - file) + 1) : xstrdup (".");
  autoclose int dir_fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir_fd < 0)
    return err_errno (err, "open the directory %s for the report", dir);
  return json_write_file (dir_fd, slash ? slash + 1 : file, object, err);
}
