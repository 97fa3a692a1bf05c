/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undo layers: what brings back the state that a guest had before a transaction.
 *
 *   ENTRY/undo/layer/     an upper layer (layer.h): over the guest's layers it gives what the guest
 *                         saw before, at all paths that the transaction changed
 *   ENTRY/undo/partners/  hard-link partners of files in it, at paths that the transaction did not
 *                         change: links to the same inodes
 *
 * Files of the old tree are in it as hard links, which keeps the objects in the store; so are those
 * of private of which nothing stays there, and of the others copies. So an inode in it is either of
 * a tree, where nothing is ever written, or has no other name: its link count tells which. The cost
 * is that of the change, and for hard-link partners one pass over the directories of the tree.
 *
 * Applied, it is one more transaction: undo_stage makes its layer, which is then folded as any
 * other. Paths that were changed since get the state they had before the undone transaction when
 * that changed them as well; all others stay. What is a directory in the layer will be one. Mode,
 * owner and attributes of a directory that the transaction left alone stay as they are now. */
#ifndef VG_TREE_UNDO_H
#define VG_TREE_UNDO_H

#include "util/cleanup.h"
#include "util/rules.h"
#include "util/u64table.h"

/* Makes undo/ in the directory @entry_fd for the open transaction of the guest @guest_fd, whose
 * layer txn/upper lies over private and tree. Before fold_plan, which makes it durable. Temporary
 * links are in txn/undo-links. */
int undo_build (int guest_fd, int entry_fd, struct err *err);

/* Fills txn/upper, which has nothing in it, with what the undo layer of @entry_fd brings back in
 * the guest as it is now; files become links, of which some are the tree's: their inode numbers are
 * put into @ret_as_is, the caller's, for fold_options.as_is. The layer must never be mounted.
 * @rules is the sharing policy. */
int undo_stage (int guest_fd, int entry_fd, const struct rules *rules, struct u64table *ret_as_is,
                struct err *err);

enum undo_change {
  UNDO_RESTORE, /* it is not there now */
  UNDO_REVERT,  /* it is something else now */
  UNDO_REMOVE,  /* it is there now, and will not be */
};

/* Tells what undo_stage would change: calls @visit for each path, "a/b". A directory that is put
 * back or removed as a whole is told once. */
typedef int undo_visit_fn (void *data, enum undo_change change, const char *path, bool directory,
                           struct err *err);
int undo_each_change (int guest_fd, int entry_fd, undo_visit_fn *visit, void *data,
                      struct err *err);

#endif
