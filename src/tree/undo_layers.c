/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "undo_internal.h"
#include "util/fd.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

int undo_layers_open (int guest_fd, struct undo_layers *ret_layers, struct err *err)
{
  autoundolayers struct undo_layers layers = {{-1, -1}, -1, -1, -1};

  layers.txn_fd = fd_open_dir (guest_fd, "txn");
  if (layers.txn_fd < 0)
    return err_errno (err, "open the directory txn");
  if (fd_remove_tree (layers.txn_fd, UNDO_LINKS, err) < 0)
    return err_wrap (err, "txn");
  layers.links_fd = fd_make_dir (layers.txn_fd, UNDO_LINKS, 0700);
  layers.upper_fd = fd_open_dir (layers.txn_fd, "upper");
  layers.root.tree = fd_open_dir (guest_fd, "tree");
  layers.root.priv = fd_open_dir (guest_fd, "private");
  if (layers.links_fd < 0 || layers.upper_fd < 0 || layers.root.tree < 0 || layers.root.priv < 0)
    return err_errno (err, "open the layers of the guest");
  *ret_layers = layers;
  layers = (struct undo_layers){{-1, -1}, -1, -1, -1};
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

int undo_whiteout (int from_fd, const char *from, int to_fd, const char *to, struct err *err)
{
  if (from_fd >= 0 && linkat (from_fd, from, to_fd, to, 0) == 0)
    return 0;
  if (from_fd >= 0 && errno != ENOENT && errno != EMLINK)
    return err_errno (err, "link the whiteout %s", to);
  if (mknodat (to_fd, to, S_IFCHR, makedev (0, 0)) < 0)
    return err_errno (err, "make the whiteout %s", to);
  return 0;
}

int undo_set_opaque (int dir_fd, struct err *err)
{
  if (fsetxattr (dir_fd, XATTR_OVERLAY "opaque", "y", 1, 0) < 0)
    return err_errno (err, "mark a directory as opaque");
  return 0;
}
