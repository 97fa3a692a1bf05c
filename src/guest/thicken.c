/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thicken.h"
#include "tree/layer.h"
#include "tree/thin.h"
#include "util/fd.h"
#include "util/interrupt.h"

int thicken_recover (struct guest *guest, struct err *err)
{
  autoclose int tree_fd = fd_open_dir (guest->fd, "tree");

  if (tree_fd < 0)
    return err_errno (err, "open tree of guest %s", guest->name);
  int whole = layer_is_opaque (tree_fd, err);
  if (whole <= 0)
    return whole < 0 ? err_wrap (err, "guest %s", guest->name) : 0;
  if (unlinkat (guest->fd, LOWER_BASE, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove the link " LOWER_BASE " of guest %s", guest->name);
  /* The mark goes last: it is what says that the link means nothing. */
  if (fsync (guest->fd) < 0)
    return err_errno (err, "sync guests/%s", guest->name);
  if (layer_strip (-1, guest->fd, "tree", /* keep_flags= */ false, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return 0;
}

static int build (struct vroot *root, const struct lower *lower, const struct staging *staging,
                  struct clone_counts *counts, struct err *err)
{
  autoclose int tree_fd = fd_make_dir (staging->fd, "tree", 0700);
  autoclose int own_fd = fd_make_dir (staging->fd, "own", 0700);
  autoclose int links_fd = fd_make_dir (staging->fd, "links", 0700);
  struct u64set inodes = {0};
  struct share share = {.store = root->store, .inodes = &inodes, .temp_fd = links_fd};

  if (tree_fd < 0 || own_fd < 0 || links_fd < 0)
    return err_errno (err, "make a directory in staging");
  int ret = thin_clone_whole (lower, tree_fd, own_fd, NULL, &share, counts, err);
  share_release (&share);
  u64set_release (&inodes);
  if (ret < 0 || layer_set_opaque (tree_fd, err) < 0 || interrupt_check (err) < 0)
    return -err->code;
  return fd_sync_fs (tree_fd, err);
}

int guest_thicken (struct vroot *root, struct guest *guest, struct clone_counts *ret_counts,
                   struct err *err)
{
  autostaging struct staging staging = {.fd = -1};
  autolower struct lower lower = LOWER_NONE;

  if (guest_refuse_used (root, guest, err) < 0)
    return -err->code;
  if (lower_open (guest->fd, /* with_private= */ false, &lower, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (lower.base < 0)
    return 0;
  if (staging_make (root, "thicken", &staging, err) < 0)
    return -err->code;
  if (build (root, &lower, &staging, ret_counts, err) < 0)
    return err_wrap (err, "make the whole tree of guest %s", guest->name);
  if (fd_rename (staging.fd, "tree", guest->fd, "tree", RENAME_EXCHANGE) < 0 ||
      fsync (guest->fd) < 0)
    return err_errno (err, "exchange the tree of guest %s", guest->name);
  if (thicken_recover (guest, err) < 0 || staging_remove (&staging, err) < 0)
    return -err->code;
  return 1;
}
