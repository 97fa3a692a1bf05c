/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a run leaves in the guest's history. */
#include "run_internal.h"

void run_note (const struct run_options *options, enum history_mode mode,
               const struct run_result *result, struct history_note *ret_note)
{
  *ret_note = *options->note;
  ret_note->mode = mode;
  ret_note->failed = result->container.failed;
  ret_note->written_bytes = result->written_bytes;
}

int run_undo (struct vroot *root, struct guest *guest, const struct run_options *options,
              enum history_mode mode, bool failed, struct run_result *result, struct err *err)
{
  struct history_note note;

  failed |= result->container.failed;
  if (!options->keep_failed || !options->note || !failed || !result->container.commands)
    return transaction_abort (root, guest, err);
  run_note (options, mode, result, &note);
  if (failed_keep (guest, &note, err) < 0)
    return err_wrap (err, "keep the failed layer");
  result->kept_failed = true;
  return 0;
}
