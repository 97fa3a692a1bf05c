/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest.h"
#include "settle.h"

int guest_recover (struct vroot *root, struct guest *guest, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  autopolicy struct policy policy = {0};
  int pending;

  /* Before the fold is looked at: it removes everything in txn/. */
  if (unify_recover (guest->fd, err) < 0)
    return -err->code;
  pending = fold_pending (guest->fd, err);
  if (pending < 0)
    return pending;
  /* Without a journal nothing outside txn/ was touched: the layer is thrown away. */
  if (!pending)
    return fold_clear (guest->fd, err);
  if (policy_load (guest->fd, &policy, err) < 0)
    return -err->code;
  return guest_finish_fold (root, guest, &policy, &report, err);
}
