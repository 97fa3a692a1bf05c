/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a run leaves in the guest's history. */
#include "run_internal.h"

void run_note (const struct run_options *options, enum history_mode mode,
               const struct run_result *result, struct history_note *ret_note)
{
  const struct container_result *container = &result->container;

  *ret_note = *options->note;
  ret_note->mode = mode;
  ret_note->failed = result->container.failed;
  ret_note->written_bytes = result->written_bytes;
  if (!ret_note->milliseconds)
    ret_note->milliseconds = (container->mount_us + container->create_us + container->start_us +
                              container->run_us + container->delete_us) /
                             1000;
}

int run_undo (struct vroot *root, struct guest *guest, const struct run_options *options,
              enum history_mode mode, bool failed, struct run_result *result, struct err *err)
{
  autoerr struct err keep_err = {0};
  struct history_note note;

  failed |= result->container.failed;
  if (!options->keep_failed || !options->note || !failed || !result->container.commands)
    return transaction_abort (root, guest, err);
  run_note (options, mode, result, &note);
  if (failed_keep (guest, &note, &keep_err) == 0) {
    result->kept_failed = true;
    return 0;
  }
  /* The guest matters more than the look. */
  result->keep_error = xstrdup (err_text (&keep_err));
  return transaction_abort (root, guest, err);
}
