/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vapt-get: apt-get in many guests.
 *
 * --json prints, and keeps to:
 *   {"guests": [{"name", "result": "done" | "unchanged" | "failed" | "locked" | "interrupted" |
 *                "skipped", "mode": "stopped" | "running" | "offline", "exit_status": apt-get's
 *                or -1, "packages_changed", "bytes_written", "bytes_shared", "files_waiting",
 *                "bytes_waiting": shared when the running guest stops, "milliseconds", "log": path
 * or null, "reason": text or null, "output": text, of read-only commands only}], "done",
 * "unchanged", "failed": counts} */
#include "cmd.h"
#include "pkg/bulk.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

enum { OUTPUT_MAX = 16 << 20 };

static const char usage[] =
    "Usage: vapt-get [OPTION…] SELECTION… -- ARG…\n"
    "Run apt-get ARG… in the guests that SELECTION names (names, globs, bracket ranges), one "
    "after\n"
    "another. In a stopped guest the run is a transaction: on failure that guest is as before, "
    "and\n"
    "the others go on. In a running guest it runs as if typed there; with --offline the guest is\n"
    "stopped, upgraded in a transaction and started again, and is as before when it does not come\n"
    "up. Questions are not asked; changed configuration files keep the guest's version.\n\n"
    "Exit status: 0 all done, 1 error, 2 usage, 3 some guests failed, 4 nothing to do, 7 locked,\n"
    "130 interrupted.\n";

struct screen {
  const struct context *context;
  const struct apt_request *request;
  struct names output; /* owned; JSON of read-only commands: one text per guest */
  struct strbuf text;  /* owned; of the guest that runs */
  size_t count;
  size_t index;
  bool verbose;
};

/* The progress line belongs to terminals; others get a line at the start and at the end. */
static bool plain (const struct screen *screen)
{
  return !screen->context->quiet && !screen->request->read_only && !isatty (STDERR_FILENO);
}

static void on_start (void *data, size_t index, const char *name)
{
  struct screen *screen = data;

  screen->index = index;
  if (plain (screen))
    fprintf (stderr, "%s: apt-get %s (%zu of %zu)\n", name, screen->request->verb, index + 1,
             screen->count);
}

static void on_note (void *data, const char *name, const char *text)
{
  const struct screen *screen = data;

  progress_clear ();
  if (!screen->context->quiet)
    fprintf (stderr, "%s: %s\n", name, text);
}

static void on_line (void *data, const char *name, const char *line)
{
  struct screen *screen = data;

  if (screen->request->read_only) {
    if (screen->context->json)
      strbuf_addf (&screen->text, "%s\n", line);
    else
      printf ("%s: %s\n", name, line);
    return;
  }
  if (screen->verbose) {
    progress_clear ();
    fprintf (stderr, screen->count > 1 ? "%s: %s\n" : "%.0s%s\n", name, line);
    return;
  }
  if (!*line)
    return;
  autofree char *text =
      xasprintf ("[%zu/%zu] %s: %s", screen->index + 1, screen->count, name, line);
  progress_line (text);
}

static void on_end (void *data, size_t index, const struct bulk_row *row)
{
  struct screen *screen = data;

  progress_clear ();
  fflush (stdout);
  if (screen->context->json && screen->request->read_only) {
    autofree char *text = strbuf_steal (&screen->text);

    names_add (&screen->output, text);
  }
  if (plain (screen))
    fprintf (stderr, "%s: %s (%zu of %zu)\n", row->name, bulk_outcome_name (row->outcome),
             index + 1, screen->count);
}

static void on_tail (void *data, const char *name, const char *line)
{
  (void) data;
  progress_clear ();
  fprintf (stderr, "%s: | %s\n", name, line);
}

static void set_or_null (json_object *object, const char *key, const char *value)
{
  json_object_object_add (object, key, value ? json_object_new_string (value) : NULL);
}

static json_object *row_json (const struct bulk_row *row, const char *output)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "name", row->name);
  json_set_string (object, "result", bulk_outcome_name (row->outcome));
  json_set_string (object, "mode", bulk_mode_name (row->mode));
  json_set_int (object, "exit_status", row->exit_status);
  json_set_int (object, "packages_changed", (int64_t) row->packages);
  json_set_int (object, "bytes_written", (int64_t) row->written_bytes);
  json_set_int (object, "bytes_shared", (int64_t) row->shared_bytes);
  json_set_int (object, "files_waiting", (int64_t) row->waiting_files);
  json_set_int (object, "bytes_waiting", (int64_t) row->waiting_bytes);
  json_set_int (object, "milliseconds", (int64_t) row->milliseconds);
  set_or_null (object, "log", row->log);
  set_or_null (object, "reason", row->reason);
  if (output)
    json_set_string (object, "output", output);
  return object;
}

static void print_report_json (const struct screen *screen, const struct bulk_report *report)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();
  int64_t done = 0, unchanged = 0;

  for (size_t i = 0; i < report->count; i++) {
    const struct bulk_row *row = &report->rows[i];

    done += row->outcome == BULK_DONE;
    unchanged += row->outcome == BULK_UNCHANGED;
    json_object_array_add (
        guests, row_json (row, i < screen->output.count ? screen->output.items[i] : NULL));
  }
  json_object_object_add (object, "guests", guests);
  json_set_int (object, "done", done);
  json_set_int (object, "unchanged", unchanged);
  json_set_int (object, "failed", (int64_t) report->count - done - unchanged);
  print_json (object);
}

static int name_width (const struct bulk_report *report)
{
  size_t width = strlen ("GUEST");

  for (size_t i = 0; i < report->count; i++)
    if (strlen (report->rows[i].name) > width)
      width = strlen (report->rows[i].name);
  return (int) width;
}

/* What running guests share only when they stop. */
static void print_waiting (const struct bulk_report *report, int width)
{
  for (size_t i = 0; i < report->count; i++) {
    const struct bulk_row *row = &report->rows[i];
    autofree char *bytes = format_bytes (row->waiting_bytes);

    if (row->waiting_files && row->shared_bytes < row->waiting_bytes)
      printf ("%-*s  is running: %" PRIu64 " files, %s, are shared when it stops\n", width,
              row->name, row->waiting_files, bytes);
  }
}

static void print_table (const struct bulk_report *report)
{
  int width = name_width (report);

  printf ("%-*s  %-11s  %8s  %10s  %10s  %8s  %s\n", width, "GUEST", "RESULT", "PACKAGES",
          "WRITTEN", "SHARED", "SECONDS", "LOG");
  for (size_t i = 0; i < report->count; i++) {
    const struct bulk_row *row = &report->rows[i];
    autofree char *written = format_bytes (row->written_bytes);
    autofree char *shared = format_bytes (row->shared_bytes);

    printf ("%-*s  %-11s  %8lu  %10s  %10s  %8.1f  %s\n", width, row->name,
            bulk_outcome_name (row->outcome), (unsigned long) row->packages, written, shared,
            (double) row->milliseconds / 1e3, row->log ? row->log : "-");
    if (row->reason)
      printf ("%-*s  %s\n", width, "", row->reason);
  }
  print_waiting (report, width);
}

/* Read-only commands have said what they had to say; only failures are left to tell. */
static void print_failures (const struct bulk_report *report)
{
  for (size_t i = 0; i < report->count; i++)
    if (report->rows[i].reason)
      print_error ("%s: %s", report->rows[i].name, report->rows[i].reason);
}

static int run (struct context *context, const struct apt_request *request,
                const struct names *names, struct vroot *root, enum bulk_refresh refresh,
                bool offline, bool verbose, struct err *err)
{
  struct screen screen = {
      .context = context,
      .request = request,
      .text = STRBUF_INIT (OUTPUT_MAX),
      .count = names->count,
      .verbose = verbose,
  };
  struct bulk_options options = {
      .request = request,
      .refresh = refresh,
      .offline = offline,
      .pass_through = request->read_only && !context->json && names->count == 1,
      .on_start = on_start,
      .on_note = on_note,
      .on_line = on_line,
      .on_end = on_end,
      .on_tail = verbose ? on_tail : NULL,
      .data = &screen,
  };
  autobulkreport struct bulk_report report = {0};

  bulk_run (root, names, &options, &report);
  if (context->json)
    print_report_json (&screen, &report);
  else if (request->read_only)
    print_failures (&report);
  else if (!context->quiet)
    print_table (&report);
  names_release (&screen.output);
  strbuf_release (&screen.text);
  return bulk_conclude (&report, request, err);
}

int cmd_apt_get (struct context *context, int argc, char **argv, struct err *err)
{
  autoselecting struct selecting selecting = {0};
  bool refresh = false, no_refresh = false, offline = false, verbose = false;
  const struct option_spec specs[] = {
      SELECTING_OPTIONS (&selecting),
      {"refresh", 0, NULL, "run apt-get update first", &refresh, NULL, NULL},
      {"no-refresh", 0, NULL, "do not, even in a guest without package lists", &no_refresh, NULL,
       NULL},
      {"offline", 0, NULL, "stop running guests for it, and start them again", &offline, NULL,
       NULL},
      {"verbose", 'v', NULL, "show the output as it comes", &verbose, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  struct apt_request request;
  int first = 0, dashes = 0;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (dashes == argc && (argc < 2 || strcmp (argv[argc - 1], "--") != 0))
    return err_code (err, ERR_USAGE, "\"-- ARG…\" is expected behind the selection; see --help");
  for (int i = first; i < dashes - 1; i++)
    names_add (&selecting.selection.patterns, argv[i]);
  if (refresh && no_refresh)
    return err_code (err, ERR_USAGE, "--refresh and --no-refresh exclude one another");
  if (!selecting_given (&selecting) && !selecting.selection.patterns.count)
    return err_code (err, ERR_USAGE, "no guest is named, and --all is not given");
  if (apt_classify ((const char *const *) argv + dashes, &request, err) < 0)
    return -err->code;
  interrupt_install ();
  if (context_open_root (context, /* write= */ true, &root, err) < 0 ||
      selecting_resolve (root, &selecting, &names, err) < 0)
    return -err->code;
  enum bulk_refresh when = refresh      ? BULK_REFRESH_ALWAYS
                           : no_refresh ? BULK_REFRESH_NEVER
                                        : BULK_REFRESH_IF_NONE;
  return run (context, &request, &names, root, when, offline, verbose, err);
}
