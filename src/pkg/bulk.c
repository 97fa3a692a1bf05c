/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bulk.h"
#include "dpkg_status.h"
#include "run.h"
#include "runlog.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include <inttypes.h>
#include <time.h>

void bulk_report_release (struct bulk_report *report)
{
  for (size_t i = 0; i < report->count; i++) {
    free (report->rows[i].log);
    free (report->rows[i].reason);
  }
  free (report->rows);
  *report = (struct bulk_report){0};
}

const char *bulk_outcome_name (enum bulk_outcome outcome)
{
  switch (outcome) {
  case BULK_DONE:
    return "done";
  case BULK_UNCHANGED:
    return "unchanged";
  case BULK_FAILED:
    return "failed";
  case BULK_LOCKED:
    return "locked";
  case BULK_INTERRUPTED:
    return "interrupted";
  default:
    return "skipped";
  }
}

const char *bulk_mode_name (enum bulk_mode mode)
{
  return mode == BULK_RUNNING ? "running" : mode == BULK_OFFLINE ? "offline" : "stopped";
}

/* One guest's run. */
struct job {
  struct vroot *root;
  const struct bulk_options *options;
  struct bulk_row *row;
  struct runlog log;
  struct apt_reason reason;
  bool as_before; /* when it fails: see run.h */
};

static void on_line (void *data, const char *line)
{
  struct job *job = data;

  apt_reason_line (&job->reason, line);
  if (job->options->on_line)
    job->options->on_line (job->options->data, job->row->name, line);
}

static void note (struct job *job, const char *text)
{
  if (job->log.fd >= 0)
    runlog_note (&job->log, "%s", text);
  if (job->options->on_note)
    job->options->on_note (job->options->data, job->row->name, text);
}

/* Must the lists be fetched first? Returns 1, 0 or negative. */
static int wants_refresh (struct job *job, struct guest *guest, struct err *err)
{
  const struct apt_request *request = job->options->request;

  if (job->options->refresh == BULK_REFRESH_ALWAYS)
    return !request->update;
  if (job->options->refresh == BULK_REFRESH_NEVER || !request->needs_lists)
    return 0;
  int has = apt_has_lists (guest, err);
  if (has == 0)
    note (job, "the guest has no package lists: apt-get update comes first");
  return has < 0 ? has : !has;
}

static int count_packages (struct job *job, struct guest *guest, const struct dpkg_status *before,
                           struct err *err)
{
  autodpkgstatus struct dpkg_status after = {0};

  if (dpkg_status_read (guest->fd, &after, err) < 0)
    return -err->code;
  job->row->packages = dpkg_status_changed (before, &after);
  return 0;
}

static void take_result (struct job *job, const struct run_result *result)
{
  struct bulk_row *row = job->row;

  row->exit_status = result->container.commands ? result->container.status : -1;
  job->as_before = !result->unfinished && !result->in_place;
  if (!result->committed && !result->in_place)
    return;
  row->written_bytes = result->written_bytes;
  row->shared_bytes = result->report.linked_bytes + result->report.reflinked_bytes;
  row->waiting_files = result->report.waiting;
  row->waiting_bytes = result->report.waiting_bytes;
  row->unshared_files = result->report.failed;
  if (!result->report.failed)
    return;
  autofree char *text =
      xasprintf ("%" PRIu64 " files could not be shared: %s", result->report.failed,
                 result->report.first_error ? result->report.first_error : "?");
  note (job, text);
}

static void on_phase (void *data, const char *phase)
{
  struct job *job = data;

  note (job, phase);
}

static int run_in_mode (struct job *job, struct guest *guest, const struct run_options *run,
                        struct run_result *ret_result, struct err *err)
{
  switch (job->row->mode) {
  case BULK_RUNNING:
    return run_in_running_guest (job->root, guest, run, ret_result, err);
  case BULK_OFFLINE:
    return run_offline (job->root, guest, run, on_phase, job, ret_result, err);
  default:
    return run_in_guest (job->root, guest, run, ret_result, err);
  }
}

static int run_apt (struct job *job, struct guest *guest, struct err *err)
{
  const struct apt_request *request = job->options->request;
  autoaptcommands struct apt_commands commands = {0};
  autodpkgstatus struct dpkg_status before = {0};
  autorunresult struct run_result result = {0};
  int refresh = wants_refresh (job, guest, err);

  if (refresh < 0 || dpkg_status_read (guest->fd, &before, err) < 0)
    return -err->code;
  apt_commands_make (job->root, request, refresh > 0, &commands);
  struct run_options run = {
      .commands = commands.items,
      .command_count = commands.count,
      .discard = request->read_only,
      .stdin_fd = -1,
      .output = job->options->pass_through ? NULL : runlog_output,
      .output_data = &job->log,
  };
  int ret = run_in_mode (job, guest, &run, &result, err);
  runlog_end (&job->log);
  take_result (job, &result);
  if (ret < 0)
    return ret;
  if (result.container.status) {
    const char *reason = apt_reason_text (&job->reason);

    return reason
               ? err_code (err, EIO, "%s", reason)
               : err_code (err, EIO, "apt-get ended with exit status %d", result.container.status);
  }
  return request->read_only ? 0 : count_packages (job, guest, &before, err);
}

static int run_job (struct job *job, struct err *err)
{
  autoguest struct guest *guest = NULL;

  if (interrupt_check (err) < 0 ||
      guest_open (job->root, job->row->name, GUEST_LOCKED, &guest, err) < 0)
    return -err->code;
  int running = guest_running (guest, err);
  if (running < 0)
    return running;
  if (running && job->options->offline && !job->options->request->read_only)
    job->row->mode = BULK_OFFLINE;
  else if (running)
    job->row->mode = BULK_RUNNING;
  if (job->options->request->read_only) {
    runlog_start (on_line, job, &job->log);
    return run_apt (job, guest, err);
  }
  if (runlog_open (job->root, guest, "apt-get", on_line, job, &job->log, err) < 0)
    return -err->code;
  job->row->log = xstrdup (job->log.path);
  int ret = run_apt (job, guest, err);
  if (ret < 0)
    runlog_note (&job->log, "%s%s", err_text (err),
                 job->as_before ? "; the guest is as before" : "");
  else
    runlog_note (&job->log, "done: %" PRIu64 " packages changed", job->row->packages);
  if (job->log.write_errno && ret == 0) {
    errno = job->log.write_errno;
    autofree char *text = xasprintf ("the log is incomplete: %s", strerror (errno));
    note (job, text);
  }
  return ret;
}

static enum bulk_outcome outcome (const struct job *job, const struct err *err)
{
  switch (err->code) {
  case 0:
    return job->options->request->may_do_nothing && !job->options->request->read_only &&
                   !job->row->packages
               ? BULK_UNCHANGED
               : BULK_DONE;
  case ERR_LOCKED:
    return BULK_LOCKED;
  case ERR_INTERRUPTED:
    return BULK_INTERRUPTED;
  default:
    return BULK_FAILED;
  }
}

static void run_one (struct vroot *root, const struct bulk_options *options, struct bulk_row *row)
{
  struct job job = {
      .root = root, .options = options, .row = row, .log = {.fd = -1}, .as_before = true};
  autoerr struct err err = {0};
  uint64_t start = clock_us ();

  run_job (&job, &err);
  row->outcome = outcome (&job, &err);
  row->milliseconds = (clock_us () - start) / 1000;
  if (err.code)
    row->reason = xstrdup (err_text (&err));
  const char *line;
  for (size_t i = 0; err.code && options->on_tail && (line = runlog_tail (&job.log, i)); i++)
    options->on_tail (options->data, row->name, line);
  runlog_release (&job.log);
  apt_reason_release (&job.reason);
}

void bulk_run (struct vroot *root, const struct names *names, const struct bulk_options *options,
               struct bulk_report *ret_report)
{
  struct bulk_report report = {
      .rows = xcalloc (names->count, sizeof *report.rows),
      .count = names->count,
  };

  for (size_t i = 0; i < names->count; i++)
    report.rows[i] = (struct bulk_row){.name = names->items[i], .exit_status = -1};
  for (size_t i = 0; i < names->count && !interrupt_pending (); i++) {
    if (options->on_start)
      options->on_start (options->data, i, names->items[i]);
    run_one (root, options, &report.rows[i]);
    if (options->on_end)
      options->on_end (options->data, i, &report.rows[i]);
  }
  *ret_report = report;
}

int bulk_conclude (const struct bulk_report *report, const struct apt_request *request,
                   struct err *err)
{
  size_t counts[BULK_INTERRUPTED + 1] = {0};

  for (size_t i = 0; i < report->count; i++)
    counts[report->rows[i].outcome]++;
  size_t bad = counts[BULK_FAILED] + counts[BULK_LOCKED];
  if (counts[BULK_INTERRUPTED] || counts[BULK_SKIPPED])
    return interrupt_check (err) < 0 ? -err->code : err_code (err, ERR_INTERRUPTED, "interrupted");
  if (counts[BULK_LOCKED] && !counts[BULK_FAILED])
    return err_code (err, ERR_LOCKED, "%zu of %zu guests were locked", bad, report->count);
  if (bad)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", bad, report->count);
  if (request->may_do_nothing && !request->read_only && counts[BULK_UNCHANGED] == report->count)
    return err_code (err, ERR_NOTHING, "there was nothing to do");
  return 0;
}
