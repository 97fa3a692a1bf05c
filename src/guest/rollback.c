/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rollback.h"
#include "transaction.h"
#include "util/fd.h"
#include <inttypes.h>

void rollback_release (struct rollback *rollback)
{
  history_release (&rollback->history);
  free (rollback->ids);
  *rollback = (struct rollback){0};
}

static int cannot_undo (const struct guest *guest, const struct history_entry *entry,
                        struct err *err)
{
  const char *reason = entry->mode == HISTORY_RUNNING
                           ? "it ran in the running guest"
                           : "what undoes it is not kept any more, see keep_transactions";

  return err_code (err, EPERM, "guest %s: transaction %" PRIu64 " (%s) cannot be undone: %s",
                   guest->name, entry->id, entry->what, reason);
}

/* The one that was asked for, or the newest that can be undone. Its place, or negative. */
static ssize_t find_last (const struct guest *guest, const struct history *history, uint64_t id,
                          struct err *err)
{
  for (size_t i = history->count; i-- > 0;) {
    const struct history_entry *entry = &history->items[i];

    if (id ? entry->id != id : !entry->has_undo)
      continue;
    if (history_has_effect (entry))
      return (ssize_t) i;
    return err_code (
        err, ERR_USAGE, "guest %s: transaction %" PRIu64 " (%s) %s", guest->name, id, entry->what,
        entry->failed ? "failed: it changed nothing" : "changed nothing that could be undone");
  }
  if (!id)
    return err_code (err, ERR_NOTHING, "guest %s has no transaction that can be undone",
                     guest->name);
  return err_code (err, ERR_USAGE, "guest %s has no transaction %" PRIu64 "; see vguest %s history",
                   guest->name, id, guest->name);
}

/* What was done since the state before the entry at @first, but for what was undone again: a
 * rollback of the last one left takes that away, and one of an earlier rollback does its own. */
static void take_together (const struct history *history, size_t first, struct rollback *rollback)
{
  uint64_t *left = xcalloc (history->count, sizeof *left);
  size_t count = 0;

  for (size_t i = first; i < history->count; i++) {
    const struct history_entry *entry = &history->items[i];

    if (!history_has_effect (entry))
      continue;
    if (entry->undoes && count && left[count - 1] == entry->undoes)
      count--;
    else
      left[count++] = entry->id;
  }
  rollback->ids = left;
  rollback->count = count;
  for (size_t i = 0; i < count / 2; i++) {
    uint64_t id = left[i];

    left[i] = left[count - 1 - i];
    left[count - 1 - i] = id;
  }
}

int rollback_plan (struct vroot *root, struct guest *guest, uint64_t id,
                   struct rollback *ret_rollback, struct err *err)
{
  autorollback struct rollback rollback = {0};

  if (guest_refuse_used (root, guest, err) < 0 || history_read (guest, &rollback.history, err) < 0)
    return -err->code;
  ssize_t first = find_last (guest, &rollback.history, id, err);
  if (first < 0)
    return -err->code;
  take_together (&rollback.history, (size_t) first, &rollback);
  if (!rollback.count)
    return err_code (err, ERR_NOTHING,
                     "guest %s is as it was before transaction %" PRIu64 " already", guest->name,
                     id);
  for (size_t i = 0; i < rollback.count; i++) {
    const struct history_entry *entry = history_find (&rollback.history, rollback.ids[i]);

    if (!entry->has_undo)
      return cannot_undo (guest, entry, err);
  }
  *ret_rollback = rollback;
  rollback = (struct rollback){0};
  return 0;
}

/* Fills the transaction's layer and commits it. */
static int undo (struct vroot *root, struct guest *guest, const struct history_note *note,
                 struct unify_report *report, uint64_t *ret_id, struct err *err)
{
  autou64table struct u64table as_is = {0};
  autopolicy struct policy policy = {0};
  autoclose int entry_fd = history_open (guest, note->undoes, err);
  struct commit_options options = {.note = note, .as_is = &as_is};

  if (entry_fd < 0 || policy_load (guest->fd, &policy, err) < 0 ||
      undo_stage (guest->fd, entry_fd, &policy.rules, &as_is, err) < 0 ||
      transaction_commit (root, guest, &options, report, ret_id, err) < 0)
    return -err->code;
  if (*ret_id)
    return 0;
  /* The guest is already as it was before: only the history changes. The entry comes first; should
   * the undo layer be left then, it is pruned in its turn. */
  if (history_add (root, guest, note, ret_id, err) < 0)
    return -err->code;
  return history_discard (guest, entry_fd, "undo", err);
}

int rollback_undo (struct vroot *root, struct guest *guest, const struct rollback *rollback,
                   size_t i, struct unify_report *report, uint64_t *ret_id, struct err *err)
{
  autoerr struct err abort_err = {0};
  uint64_t id = rollback->ids[i];
  autofree char *what = xasprintf ("rollback %" PRIu64, id);
  struct history_note note = {
      .what = what,
      .undoes = id,
      .rolls_back_to = rollback->ids[rollback->count - 1],
  };

  if (transaction_begin (root, guest, err) < 0)
    return err_wrap (err, "undo transaction %" PRIu64, id);
  if (undo (root, guest, &note, report, ret_id, err) == 0)
    return 0;
  err_wrap (err, "undo transaction %" PRIu64, id);
  int pending = fold_pending (guest->fd, &abort_err);
  if (pending > 0)
    return err_wrap (err, "the next command finishes the rollback of guest %s", guest->name);
  if (pending == 0)
    transaction_abort (root, guest, &abort_err);
  return -err->code;
}

int rollback_list (struct guest *guest, uint64_t id, undo_visit_fn *visit, void *data,
                   struct err *err)
{
  autoclose int entry_fd = history_open (guest, id, err);

  if (entry_fd < 0)
    return -err->code;
  return undo_each_change (guest->fd, entry_fd, visit, data, err);
}
