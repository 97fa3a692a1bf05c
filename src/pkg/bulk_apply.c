/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The phase apply: who may begin, and what came of it. */
#include "bulk_internal.h"
#include "util/clock.h"
#include "util/interrupt.h"

static int take_names (json_object *result, const char *key, struct names *names, struct err *err)
{
  json_object *array = NULL;

  if (json_get_strings (result, key, &array, err) < 0)
    return -err->code;
  for (size_t i = 0; array && i < json_object_array_length (array); i++)
    names_add (names, json_object_get_string (json_object_array_get_idx (array, i)));
  return 0;
}

static int take_number (json_object *result, const char *key, uint64_t *ret_number, struct err *err)
{
  int64_t number = 0;

  if (json_get_int (result, key, 0, &number, err) < 0)
    return -err->code;
  *ret_number = number < 0 ? 0 : (uint64_t) number;
  return 0;
}

/* See tell_result in task_apply.c. */
static int take_result (struct bulk_row *row, json_object *result, struct err *err)
{
  json_object *changes = NULL;
  int64_t status = -1;

  if (!result)
    return 0;
  if (json_get_int (result, "exit_status", -1, &status, err) < 0 ||
      take_number (result, "written", &row->written_bytes, err) < 0 ||
      take_number (result, "shared", &row->shared_bytes, err) < 0 ||
      take_number (result, "waiting_files", &row->waiting_files, err) < 0 ||
      take_number (result, "waiting_bytes", &row->waiting_bytes, err) < 0 ||
      take_number (result, "unshared", &row->unshared_files, err) < 0 ||
      take_number (result, "transaction", &row->transaction, err) < 0 ||
      json_get_bool (result, "kept_failed", false, &row->kept_failed, err) < 0 ||
      take_names (result, "conffiles", &row->conffiles, err) < 0 ||
      take_names (result, "restart", &row->restart, err) < 0)
    return -err->code;
  row->exit_status = (int) status;
  if (json_object_object_get_ex (result, "changes", &changes))
    return pkg_changes_from_json (changes, &row->changes, err);
  return 0;
}

static size_t count_failed (const struct bulk *bulk)
{
  size_t failed = 0;

  for (size_t i = 0; i < bulk->count; i++)
    failed += bulk->report->rows[i].outcome == BULK_FAILED;
  return failed;
}

static bool too_many_failed (const struct bulk *bulk)
{
  uint64_t limit = bulk->options->max_fail;

  if (!limit)
    return false;
  if (bulk->options->max_fail_percent)
    return count_failed (bulk) * UINT64_C (100) >= limit * bulk->count;
  return count_failed (bulk) >= limit;
}

static bool may_begin (struct bulk *bulk)
{
  return !too_many_failed (bulk);
}

/* A child that died may have left its transaction: it is thrown away here, or finished when it had
 * come so far that it has to be. */
static void recover (struct bulk *bulk, size_t index)
{
  autoerr struct err err = {0};

  if (guest_recover (bulk->root, bulk->works[index].guest, &err) < 0 && bulk->options->on_note)
    bulk->options->on_note (bulk->options->data, bulk->report->rows[index].name, err_text (&err));
}

static void end_apply (struct bulk *bulk, const struct bulk_task *task, json_object *result,
                       const struct err *task_err)
{
  struct bulk_row *row = &bulk->report->rows[task->row];
  const struct pkg_request *request = bulk->works[task->row].request;
  autoerr struct err err = {0};

  row->milliseconds = (clock_us () - bulk->works[task->row].start_us) / 1000;
  if (task_err->code && !result)
    recover (bulk, task->row);
  if (take_result (row, result, &err) < 0 || task_err->code) {
    bulk_end_row (bulk, task->row, task_err->code ? task_err : &err);
    return;
  }
  row->outcome = request->may_do_nothing && !row->changes.count ? BULK_UNCHANGED : BULK_DONE;
  bulk_end_row (bulk, task->row, NULL);
}

static bool is_canary (const struct bulk *bulk, size_t index, size_t opens)
{
  return opens < bulk->options->canary_count ||
         names_has (&bulk->options->canary, bulk->report->rows[index].name);
}

/* The open rows that are canaries, or all that are left. */
static void run_some (struct bulk *bulk, bool canaries)
{
  autofree struct bulk_task *items = xcalloc (bulk->count + 1, sizeof *items);
  struct bulk_tasks tasks = {
      .items = items, .may_begin = may_begin, .run = task_apply, .end = end_apply};
  autoerr struct err err = {0};
  size_t opens = 0;

  for (size_t i = 0; i < bulk->count; i++)
    if (bulk_is_open (bulk, i) && (!canaries || is_canary (bulk, i, opens++)))
      items[tasks.count++] = (struct bulk_task){.row = i};
  if (bulk_run_tasks (bulk, &tasks, &err) < 0 && err.code != ERR_INTERRUPTED)
    for (size_t i = 0; i < tasks.count; i++)
      bulk_end_row (bulk, items[i].row, &err);
}

static void skip_open (struct bulk *bulk, const char *reason)
{
  for (size_t i = 0; i < bulk->count; i++)
    if (bulk_is_open (bulk, i)) {
      bulk->report->rows[i].outcome = BULK_SKIPPED;
      bulk->report->rows[i].reason = xstrdup (reason);
      bulk_end_row (bulk, i, NULL);
    }
}

void bulk_apply (struct bulk *bulk)
{
  size_t failed = count_failed (bulk);

  bulk_tell_phase (bulk, "apply");
  if (bulk->options->canary_count || bulk->options->canary.count) {
    run_some (bulk, /* canaries= */ true);
    if (!interrupt_pending () && count_failed (bulk) > failed)
      skip_open (bulk, "not begun: a canary failed");
  }
  if (!interrupt_pending ())
    run_some (bulk, /* canaries= */ false);
  if (!interrupt_pending () && too_many_failed (bulk))
    skip_open (bulk, "not begun: too many guests have failed (--max-fail)");
}
