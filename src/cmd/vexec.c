/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vexec SELECTION [OPTION…] -- COMMAND: in many guests at once. */
#include "cmd.h"
#include "command_options.h"
#include "fanout.h"
#include "pkg/run.h"
#include "runtime/session.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include "util/jobs.h"
#include "util/outputs.h"

static const char usage_text[] =
    "Usage: vexec [OPTION…] NAME…|--all -- COMMAND [ARG…]\n"
    "Runs a command in many guests at once: in those that run as `vguest NAME exec` does, in the\n"
    "stopped ones as a transaction, which is kept when the command succeeds. What they write\n"
    "comes in the order of their names, each line behind the name of its guest; stdout and\n"
    "stderr stay apart. Input is /dev/null.\n\n"
    "Exit status: 0 when the command succeeded in all guests; 3 when it failed in some.\n";

/* Of each output in --json. */
enum { JSON_OUTPUT_MAX = 1 << 20 };

struct row {
  bool begun;
  bool ended;
  int status;   /* of the command */
  char *error;  /* owned; when it could not be run */
  bool running; /* the guest, when we looked */
  uint64_t start_us;
  uint64_t milliseconds;
};

struct vexec {
  struct context *context;
  const struct command_line *line; /* borrowed */
  struct names names;              /* owned */
  struct row *rows;                /* owned */
  struct outputs *outputs;         /* owned */
  size_t next;
  bool no_prefix;
  bool no_output;
  bool group;
  bool keep_failed;
};

static void vexec_release (struct vexec *v)
{
  for (size_t i = 0; i < v->names.count && v->rows; i++)
    free (v->rows[i].error);
  free (v->rows);
  if (v->outputs)
    outputs_free (v->outputs);
  names_release (&v->names);
}

#define autovexec __attribute__ ((cleanup (vexec_release)))

static bool next (void *data, size_t *ret_job)
{
  struct vexec *v = data;

  if (v->next == v->names.count)
    return false;
  v->rows[v->next].begun = true;
  v->rows[v->next].start_us = clock_us ();
  *ret_job = v->next++;
  return true;
}

/* As a transaction; the guest may have been started since we looked, which is told then. */
static int run_stopped (const struct vexec *v, const char *name, int *ret_status, struct err *err)
{
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autorunresult struct run_result result = {0};
  autocommandline struct command_line line = {0};
  autofree char *what = history_what ("exec", v->line->command.args);
  const struct history_note note = {.what = what};
  struct run_options run = {.commands = &line.command,
                            .command_count = 1,
                            .note = &note,
                            .keep_failed = v->keep_failed,
                            .stdin_fd = -1};

  if (context_open_root (v->context, /* write= */ true, &root, err) < 0 ||
      guest_open (root, name, GUEST_LOCKED, &guest, err) < 0 ||
      command_line_in (v->line, guest, &line, err) < 0 ||
      run_in_guest (root, guest, &run, &result, err) < 0)
    return -err->code;
  if (result.report.failed)
    print_warning ("%lu files could not be shared: %s", (unsigned long) result.report.failed,
                   result.report.first_error ? result.report.first_error : "");
  print_kept (v->context, name, &result);
  *ret_status = result.container.status;
  return 0;
}

/* In a child process. */
static int run (void *data, size_t job, struct err *err)
{
  const struct vexec *v = data;
  const char *name = v->names.items[job];
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autoliveinfo struct live_info info = {0};
  autocommandline struct command_line line = {0};
  struct session_options session = {
      .command = &line.command,
      .stdin_fd = -1,
  };
  int status = 0, ret;

  if (context_open_root (v->context, /* write= */ false, &root, err) < 0 ||
      guest_open (root, name, GUEST_PEEK, &guest, err) < 0 ||
      live_info_read (root, guest, &info, err) < 0)
    return -err->code;
  if (info.state == LIVE_STARTING || info.state == LIVE_STOPPING)
    return err_code (err, EBUSY, "the guest is %s",
                     info.state == LIVE_STARTING ? "starting" : "stopping");
  if (info.state != LIVE_RUNNING)
    ret = run_stopped (v, name, &status, err);
  else if ((ret = command_line_in (v->line, guest, &line, err)) == 0)
    ret = session_run (root, guest, &info, &session, &status, err);
  return ret < 0 ? ret : status;
}

static int output (void *data, size_t job, int stream, const char *bytes, size_t len,
                   struct err *err)
{
  struct vexec *v = data;

  return outputs_add (v->outputs, job, stream, bytes, len, err);
}

static int end (void *data, size_t job, int status, const struct err *job_err, struct err *err)
{
  struct vexec *v = data;
  struct row *row = &v->rows[job];

  row->ended = true;
  row->status = status;
  row->milliseconds = (clock_us () - row->start_us) / 1000;
  if (job_err->code)
    row->error = xstrdup (err_text (job_err));
  return outputs_end (v->outputs, job, err);
}

static bool has_failed (const struct row *row)
{
  return row->ended && (row->error || row->status);
}

/* "web1,web2: exit status 1", and what they wrote; 1 where @b belongs to the group of @a. */
static int same_group (const struct vexec *v, size_t a, size_t b, struct err *err)
{
  const struct row *x = &v->rows[a], *y = &v->rows[b];

  if (x->status != y->status || !x->error != !y->error ||
      (x->error && strcmp (x->error, y->error) != 0))
    return 0;
  return outputs_equal (v->outputs, a, b, err);
}

static int print_groups (const struct vexec *v, struct err *err)
{
  autofree bool *done = xcalloc (v->names.count + 1, sizeof *done);

  for (size_t i = 0; i < v->names.count; i++) {
    autostrbuf struct strbuf names = STRBUF_INIT (SIZE_MAX / 2);

    if (done[i] || !v->rows[i].ended)
      continue;
    for (size_t k = i; k < v->names.count; k++) {
      int same = done[k] || !v->rows[k].ended ? 0 : same_group (v, i, k, err);

      if (same < 0)
        return same;
      if (same)
        strbuf_addf (&names, "%s%s", names.len ? "," : "", v->names.items[k]);
      done[k] |= same;
    }
    if (v->rows[i].status)
      printf ("---- %s (exit status %d)\n", strbuf_str (&names), v->rows[i].status);
    else
      printf ("---- %s\n", strbuf_str (&names));
    if (fflush (stdout) != 0)
      return err_errno (err, "write to stdout");
    if (outputs_write (v->outputs, i, err) < 0)
      return -err->code;
  }
  return 0;
}

static int add_output (const struct vexec *v, size_t i, int stream, const char *key,
                       json_object *guest, struct err *err)
{
  autostrbuf struct strbuf text = STRBUF_INIT (JSON_OUTPUT_MAX);

  if (outputs_read (v->outputs, i, stream, &text, err) < 0)
    return -err->code;
  json_set_bytes (guest, key, strbuf_str (&text), text.len);
  if (text.failed)
    json_set_bool (guest, "truncated", true);
  return 0;
}

static int print_results (const struct vexec *v, size_t failed, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();

  json_set_int (object, "failed", (int64_t) failed);
  json_object_object_add (object, "guests", guests);
  for (size_t i = 0; i < v->names.count; i++) {
    const struct row *row = &v->rows[i];
    json_object *guest = json_object_new_object ();
    const char *result = !row->ended ? "skipped" : has_failed (row) ? "failed" : "done";

    json_object_array_add (guests, guest);
    json_set_string (guest, "name", v->names.items[i]);
    json_set_string (guest, "result", result);
    json_object_object_add (guest, "exit_status",
                            row->ended && !row->error ? json_object_new_int (row->status) : NULL);
    json_object_object_add (guest, "error",
                            row->error ? json_object_new_string (row->error) : NULL);
    json_set_int (guest, "milliseconds", (int64_t) row->milliseconds);
    if (!v->no_output && (add_output (v, i, 1, "stdout", guest, err) < 0 ||
                          add_output (v, i, 2, "stderr", guest, err) < 0))
      return -err->code;
  }
  print_json (object);
  return 0;
}

/* Tells on stderr what failed; the number of guests. */
static size_t tell_failures (const struct vexec *v)
{
  size_t failed = 0;

  for (size_t i = 0; i < v->names.count; i++) {
    const struct row *row = &v->rows[i];

    if (!has_failed (row))
      continue;
    failed++;
    if (row->error)
      print_error ("%s: %s", v->names.items[i], row->error);
    else if (!v->context->quiet)
      print_error ("%s: exit status %d", v->names.items[i], row->status);
  }
  return failed;
}

static int conclude (const struct vexec *v, struct err *err)
{
  autoerr struct err print_err = {0};
  int ret = 0;

  if (v->group && !v->context->json)
    ret = print_groups (v, &print_err);
  size_t failed = tell_failures (v);
  if (v->context->json)
    ret = print_results (v, failed, &print_err);
  if (err->code)
    return -err->code;
  if (ret < 0)
    return err_code (err, print_err.code, "%s", err_text (&print_err));
  if (failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, v->names.count);
  return 0;
}

static int run_all (struct vexec *v, unsigned parallel, struct err *err)
{
  struct jobs jobs = {
      .parallel = parallel,
      .data = v,
      .next = next,
      .run = run,
      .output = output,
      .end = end,
  };
  enum outputs_mode mode = v->no_output                   ? OUTPUTS_DROP
                           : v->context->json || v->group ? OUTPUTS_KEEP
                           : v->no_prefix                 ? OUTPUTS_RAW
                                                          : OUTPUTS_LINES;

  v->rows = xcalloc (v->names.count, sizeof *v->rows);
  v->outputs = outputs_new (mode, (const char *const *) v->names.items, v->names.count);
  if (jobs_run (&jobs, err) < 0 && err->code != ERR_INTERRUPTED)
    return -err->code;
  return conclude (v, err);
}

static int select_guests (const struct context *context, struct selecting *selecting,
                          struct names *ret_names, struct err *err)
{
  autoroot struct vroot *root = NULL;

  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  return selecting_resolve (root, selecting, ret_names, err);
}

int cmd_vexec (struct context *context, int argc, char **argv, struct err *err)
{
  autoselecting struct selecting selecting = {0};
  autocommandoptions struct command_options options = {0};
  autocommandline struct command_line line = {0};
  autovexec struct vexec v = {.context = context};
  const char *jobs_text = NULL;
  const struct option_spec specs[] = {
      SELECTING_OPTIONS (&selecting),
      COMMAND_OPTION_SPECS (&options),
      {"jobs", 'j', "N", "so many guests at once", NULL, &jobs_text, NULL},
      {"no-prefix", 0, NULL, "output as it is, without names", &v.no_prefix, NULL, NULL},
      {"group", 0, NULL, "show equal outputs once, at the end", &v.group, NULL, NULL},
      {"no-output", 0, NULL, "throw the output away", &v.no_output, NULL, NULL},
      {"keep-failed", 0, NULL, "stopped: keep what a failed command did", &v.keep_failed, NULL,
       NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  unsigned parallel = 0;
  int first = 0, dashes = 0;

  if (options_parse (context, specs, /* stop_early= */ false, usage_text, argc, argv, &first,
                     &dashes, err) < 0 ||
      parse_jobs (jobs_text, cpu_count (), &parallel, err) < 0)
    return -err->code;
  if (dashes >= argc)
    return err_code (err, ERR_USAGE, "a command is expected after --; see --help");
  if (command_line_make (&options, argv + dashes, &line, err) < 0)
    return -err->code;
  v.line = &line;
  for (int i = first; i < dashes - 1; i++)
    names_add (&selecting.selection.patterns, argv[i]);
  interrupt_install ();
  if (select_guests (context, &selecting, &v.names, err) < 0)
    return -err->code;
  return run_all (&v, parallel, err);
}
