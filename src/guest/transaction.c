/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transaction.h"
#include "settle.h"
#include "tree/clone.h"
#include "tree/overlay.h"
#include "util/fd.h"

int transaction_begin (struct vroot *root, struct guest *guest, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  autopolicy struct policy policy = {0};

  if (guest_refuse_used (root, guest, err) < 0 || policy_load (guest->fd, &policy, err) < 0 ||
      guest_settle (root, guest, &policy, NULL, &report, err) < 0)
    return -err->code;
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");
  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  autoclose int upper = fd_make_dir (txn_fd, "upper", 0700);
  autoclose int work = fd_make_dir (txn_fd, "work", 0700);
  autoclose int private = fd_open_dir (guest->fd, "private");
  if (upper < 0 || work < 0 || private < 0)
    return err_errno (err, "make the layers of a transaction in guest %s", guest->name);
  /* The root of the merged view has the metadata of its upper. */
  return clone_directory_metadata (private, upper, err);
}

int transaction_mount (struct guest *guest, const char *target, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (AT_FDCWD, "txn");
  autoclose int private = fd_open_dir (AT_FDCWD, "private");
  autoclose int tree = fd_open_dir (AT_FDCWD, "tree");
  autoclose int upper = txn_fd < 0 ? -1 : fd_open_dir (txn_fd, "upper");
  autoclose int work = txn_fd < 0 ? -1 : fd_open_dir (txn_fd, "work");

  if (private < 0 || tree < 0 || upper < 0 || work < 0)
    return err_errno (err, "open the layers of guest %s", guest->name);
  int lower[] = {private, tree};
  struct overlay overlay = {
      .lower_fds = lower,
      .lower_count = 2,
      .upper_fd = upper,
      .work_fd = work,
      .volatile_mode = true,
      .nodev = true,
  };
  return overlay_mount (&overlay, target, err);
}

int transaction_commit (struct vroot *root, struct guest *guest, struct unify_report *report,
                        struct err *err)
{
  autotwins struct twins twins = {.store = root->store, .report = report};
  autopolicy struct policy policy = {0};
  struct fold_counts counts = {0};

  if (policy_load (guest->fd, &policy, err) < 0)
    return -err->code;
  struct fold_options options = {
      .guest_fd = guest->fd,
      .commit = true,
      .rules = &policy.rules,
      .twin = twins_find,
      .twin_data = &twins,
  };
  int planned = fold_plan (&options, &counts, err);
  if (planned < 0)
    return err_wrap (err, "commit to guest %s", guest->name);
  if (!planned)
    return transaction_abort (root, guest, err);
  report->moved += counts.moved;
  report->dropped += counts.dropped;
  return guest_finish_fold (root, guest, &policy, report, err);
}

int transaction_abort (struct vroot *root, struct guest *guest, struct err *err)
{
  (void) root;
  if (fold_clear (guest->fd, err) < 0)
    return err_wrap (err, "throw away the transaction of guest %s", guest->name);
  return 0;
}
