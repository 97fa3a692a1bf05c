/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bulk_internal.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include <inttypes.h>

void bulk_report_release (struct bulk_report *report)
{
  for (size_t i = 0; i < report->count; i++) {
    struct bulk_row *row = &report->rows[i];

    pkg_changes_release (&row->plan);
    pkg_changes_release (&row->changes);
    names_release (&row->conffiles);
    names_release (&row->restart);
    free (row->log);
    free (row->reason);
  }
  free (report->rows);
  *report = (struct bulk_report){0};
}

const char *bulk_outcome_name (enum bulk_outcome outcome)
{
  static const char *const names[] = {
      [BULK_SKIPPED] = "skipped",         [BULK_DONE] = "done",     [BULK_UNCHANGED] = "unchanged",
      [BULK_PENDING] = "pending",         [BULK_FAILED] = "failed", [BULK_LOCKED] = "locked",
      [BULK_INTERRUPTED] = "interrupted",
  };

  return names[outcome];
}

const char *bulk_mode_name (enum bulk_mode mode)
{
  return mode == BULK_RUNNING ? "running" : mode == BULK_OFFLINE ? "offline" : "stopped";
}

void bulk_tell_phase (struct bulk *bulk, const char *phase)
{
  size_t open = 0;

  for (size_t i = 0; i < bulk->count; i++)
    if (bulk_is_open (bulk, i)) {
      bulk->report->rows[i].phase = phase;
      open++;
    }
  if (open && bulk->options->on_phase)
    bulk->options->on_phase (bulk->options->data, phase, open);
}

static enum bulk_outcome outcome_of (const struct err *err)
{
  switch (err->code) {
  case ERR_LOCKED:
    return BULK_LOCKED;
  case ERR_INTERRUPTED:
    return BULK_INTERRUPTED;
  default:
    return BULK_FAILED;
  }
}

static void tell_tail (struct bulk *bulk, size_t index)
{
  const char *line;

  for (size_t i = 0; (line = runlog_tail (&bulk->works[index].log, i)) != NULL; i++)
    bulk->options->on_tail (bulk->options->data, index, line);
}

void bulk_end_row (struct bulk *bulk, size_t index, const struct err *err)
{
  struct bulk_row *row = &bulk->report->rows[index];
  struct bulk_work *work = &bulk->works[index];

  if (work->finished)
    return;
  work->finished = true;
  if (err && err->code) {
    row->outcome = outcome_of (err);
    free (row->reason);
    row->reason = xstrdup (err_text (err));
    if (bulk->options->on_tail && work->log.lines)
      tell_tail (bulk, index);
  }
  runlog_release (&work->log);
  if (work->guest)
    guest_close (work->guest);
  work->guest = NULL;
  if (bulk->options->on_end)
    bulk->options->on_end (bulk->options->data, index, row);
}

static void open_bulk (struct bulk *bulk, const struct names *names)
{
  size_t drivers = 0;

  while (pkg_drivers[drivers])
    drivers++;
  bulk->works = xcalloc (names->count, sizeof *bulk->works);
  bulk->requests = xcalloc (drivers, sizeof *bulk->requests);
  bulk->has_request = xcalloc (drivers, sizeof *bulk->has_request);
  bulk->report->rows = xcalloc (names->count, sizeof *bulk->report->rows);
  bulk->report->count = names->count;
  for (size_t i = 0; i < names->count; i++) {
    bulk->report->rows[i] = (struct bulk_row){.name = names->items[i], .exit_status = -1};
    bulk->works[i] = (struct bulk_work){
        .log = {.fd = -1}, .lists = NO_GROUP, .plan = NO_GROUP, .cache = NO_GROUP};
  }
  snprintf (bulk->machine_id, sizeof bulk->machine_id, "%.16s%.16s", bulk->root->id,
            bulk->root->id);
}

static void release_groups (struct bulk_groups *groups)
{
  for (size_t i = 0; i < groups->count; i++) {
    free (groups->items[i].dir);
    free (groups->items[i].shared);
    pkg_files_release (&groups->items[i].files);
  }
  free (groups->items);
}

/* What nobody wanted for long goes. A failure is the next run's. */
static void prune_cache (struct bulk *bulk)
{
  struct pkgcache_pruned pruned;
  autoerr struct err err = {0};

  pkgcache_close (bulk->cache);
  bulk->cache = NULL;
  if (pkgcache_prune (bulk->root, BULK_CACHE_DAYS, /* dry_run= */ false, &pruned, &err) < 0 &&
      bulk->options->on_note)
    bulk->options->on_note (bulk->options->data, NULL, err_text (&err));
}

static void close_bulk (struct bulk *bulk)
{
  for (size_t i = 0; i < bulk->count; i++)
    bulk_end_row (bulk, i, NULL);
  for (size_t i = 0; pkg_drivers[i]; i++)
    pkg_request_release (&bulk->requests[i]);
  release_groups (&bulk->lists);
  release_groups (&bulk->plans);
  release_groups (&bulk->caches);
  free (bulk->works);
  free (bulk->requests);
  free (bulk->has_request);
  pkg_states_release (&bulk->states);
  pkgcache_files_release (bulk->files, bulk->file_count);
  free (bulk->files);
  if (bulk->cache)
    prune_cache (bulk);
  staging_drop (&bulk->staging);
}

/* Rows that were not begun when a signal came say so. */
static void skip_rest (struct bulk *bulk, const char *reason)
{
  for (size_t i = 0; i < bulk->count; i++)
    if (bulk_is_open (bulk, i)) {
      bulk->report->rows[i].outcome = BULK_SKIPPED;
      bulk->report->rows[i].reason = xstrdup (reason);
      bulk_end_row (bulk, i, NULL);
    }
}

static size_t count_changes (const struct bulk *bulk)
{
  size_t changes = 0;

  for (size_t i = 0; i < bulk->count; i++)
    changes += bulk->report->rows[i].plan.count;
  return changes;
}

/* What would be done is known: tell it. With --check that is all. */
static bool told_plan (struct bulk *bulk)
{
  if (bulk->options->on_plan && (count_changes (bulk) || bulk->options->check))
    bulk->options->on_plan (bulk->options->data, bulk->report);
  if (!bulk->options->check)
    return false;
  for (size_t i = 0; i < bulk->count; i++)
    if (bulk_is_open (bulk, i)) {
      bulk->report->rows[i].outcome =
          bulk->report->rows[i].plan.count ? BULK_PENDING : BULK_UNCHANGED;
      bulk_end_row (bulk, i, NULL);
    }
  return true;
}

/* Phases in which each error is a row's; negative: of all. */
static int run_phases (struct bulk *bulk, struct err *err)
{
  if (staging_make (bulk->root, "packages", &bulk->staging, err) < 0)
    return -err->code;
  bulk_lock (bulk);
  if (interrupt_pending ())
    return 0;
  bulk_refresh (bulk);
  if (interrupt_pending ())
    return 0;
  bulk_plan (bulk);
  if (interrupt_pending () || told_plan (bulk))
    return 0;
  if (bulk_check_space (bulk, err) < 0 || bulk_download (bulk, err) < 0)
    return err->code == ERR_INTERRUPTED ? 0 : -err->code;
  bulk_manager_downloads (bulk);
  if (interrupt_pending ())
    return 0;
  bulk_apply (bulk);
  return 0;
}

int bulk_run (struct vroot *root, const struct names *names, const struct bulk_options *options,
              struct bulk_report *ret_report, struct err *err)
{
  struct bulk bulk = {
      .root = root,
      .options = options,
      .report = ret_report,
      .count = names->count,
      .staging = {.fd = -1},
  };
  uint64_t start = clock_us ();

  *ret_report = (struct bulk_report){0};
  open_bulk (&bulk, names);
  int ret = run_phases (&bulk, err);
  skip_rest (&bulk, ret < 0 ? err_text (err) : "not begun");
  close_bulk (&bulk);
  ret_report->milliseconds = (clock_us () - start) / 1000;
  return ret;
}

int bulk_conclude (const struct bulk_report *report, bool may_do_nothing, struct err *err)
{
  size_t counts[BULK_INTERRUPTED + 1] = {0};

  for (size_t i = 0; i < report->count; i++)
    counts[report->rows[i].outcome]++;
  size_t bad = counts[BULK_FAILED] + counts[BULK_LOCKED] + counts[BULK_SKIPPED];
  if (interrupt_check (err) < 0)
    return -err->code;
  if (counts[BULK_INTERRUPTED])
    return err_code (err, ERR_INTERRUPTED, "interrupted");
  if (counts[BULK_LOCKED] && !counts[BULK_FAILED])
    return err_code (err, ERR_LOCKED, "%zu of %zu guests were locked", counts[BULK_LOCKED],
                     report->count);
  if (bad && counts[BULK_SKIPPED])
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed, %zu were not begun",
                     bad - counts[BULK_SKIPPED], report->count, counts[BULK_SKIPPED]);
  if (bad)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", bad, report->count);
  if (may_do_nothing && counts[BULK_UNCHANGED] == report->count)
    return err_code (err, ERR_NOTHING, "there was nothing to do");
  return 0;
}
