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
  /* A repair takes names in undo layers as well: those first, as the links go with the tree's. */
  autoclose int history_fd = fd_open_dir (guest_fd, "history");
  if (history_fd < 0 && errno != ENOENT)
    return err_errno (err, "open history");
  if ((history_fd >= 0 && groups_apply (history_fd, temp_fd, err) < 0) ||
      groups_finish (tree_fd, temp_fd, err) < 0)
    return -err->code;
  return dirtimes_restore (tree_fd, temp_fd, err);
}
