/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dirtimes.h"
#include "groups.h"
#include "unify.h"
#include "util/fd.h"

int unify_recover (int guest_fd, struct err *err)
{
  autoclose int tree_fd = fd_open_dir (guest_fd, "tree");
  autoclose int txn_fd = fd_open_dir (guest_fd, "txn");

  if (tree_fd < 0 || txn_fd < 0)
    return err_errno (err, "open tree and txn");
  autoclose int temp_fd = fd_open_dir (txn_fd, "temp");
  if (temp_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open txn/temp");
  if (groups_finish (tree_fd, temp_fd, err) < 0)
    return -err->code;
  return dirtimes_restore (tree_fd, temp_fd, err);
}
