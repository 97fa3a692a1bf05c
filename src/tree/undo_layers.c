/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "undo_internal.h"
#include "util/fd.h"

int undo_layers_open (int guest_fd, struct undo_layers *ret_layers, struct err *err)
{
  autoundolayers struct undo_layers layers = {LOWER_NONE, -1, -1, -1};

  layers.txn_fd = fd_open_dir (guest_fd, "txn");
  if (layers.txn_fd < 0)
    return err_errno (err, "open the directory txn");
  if (fd_remove_tree (layers.txn_fd, UNDO_LINKS, err) < 0)
    return err_wrap (err, "txn");
  layers.links_fd = fd_make_dir (layers.txn_fd, UNDO_LINKS, 0700);
  layers.upper_fd = fd_open_dir (layers.txn_fd, "upper");
  if (layers.links_fd < 0 || layers.upper_fd < 0)
    return err_errno (err, "open the layers of the guest");
  if (lower_open (guest_fd, /* with_private= */ true, &layers.root, err) < 0)
    return -err->code;
  *ret_layers = layers;
  layers = (struct undo_layers){LOWER_NONE, -1, -1, -1};
  return 0;
}

int undo_layers_finish (struct undo_layers *layers, struct err *err)
{
  return fd_remove_tree (layers->txn_fd, UNDO_LINKS, err);
}

void undo_layers_release (struct undo_layers *layers)
{
  cleanup_close (&layers->txn_fd);
  cleanup_close (&layers->upper_fd);
  cleanup_close (&layers->links_fd);
  lower_close (&layers->root);
}
