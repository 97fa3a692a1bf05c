/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest.h"
#include "adoption.h"
#include "rename.h"
#include "settle.h"
#include "thicken.h"
#include "transaction.h"
#include "tree/layer.h"

int guest_settle_run (struct vroot *root, struct guest *guest, struct unify_report *report,
                      struct err *err)
{
  autopolicy struct policy policy = {0};
  int ran = guest_has_run (guest, err);

  if (ran <= 0)
    return ran;
  if (transaction_commit_accepted (root, guest, report, err) < 0 ||
      policy_load (guest->fd, &policy, err) < 0 ||
      guest_settle (root, guest, &policy, NULL, report, err) < 0)
    return -err->code;
  /* What the kernel noted at the top of the layer (uuid, impure) says nothing without a mount. */
  if (layer_strip (-1, guest->fd, "private", /* keep_flags= */ true, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  /* When a crash brings the mark back, a clean layer is looked over once more. */
  if (unlinkat (guest->fd, GUEST_RAN, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove guests/%s/" GUEST_RAN, guest->name);
  return 0;
}

static int finish_fold (struct vroot *root, struct guest *guest, struct unify_report *report,
                        struct err *err)
{
  autopolicy struct policy policy = {0};
  int pending;

  /* Before the fold is looked at: it removes everything in txn/. */
  if (unify_recover (guest->fd, err) < 0)
    return -err->code;
  pending = fold_pending (guest->fd, err);
  if (pending < 0)
    return pending;
  /* Without a journal nothing outside txn/ was touched: the layer is thrown away, unless the guest
   * ran on it and it is to be committed, by guest_settle_run. */
  if (!pending) {
    int accepted = transaction_accepted (guest, err);

    return accepted < 0 ? accepted : accepted ? 0 : fold_clear (guest->fd, err);
  }
  if (policy_load (guest->fd, &policy, err) < 0)
    return -err->code;
  return guest_finish_fold (root, guest, &policy, report, err);
}

int guest_recover (struct vroot *root, struct guest *guest, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  int running = guest_running (guest, err);

  if (running)
    return running < 0 ? running : rename_recover (root, guest, err);
  int ran = guest_has_run (guest, err);
  if (ran < 0 || (ran && guest_wait_gone (root, guest->name, err) < 0) ||
      guest_sweep (guest, err) < 0 || adoption_recover (root, guest, err) < 0 ||
      thicken_recover (guest, err) < 0 || finish_fold (root, guest, &report, err) < 0 ||
      guest_settle_run (root, guest, &report, err) < 0)
    return -err->code;
  return rename_recover (root, guest, err);
}
