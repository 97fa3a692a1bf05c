/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files undo*.c. */
#ifndef VG_TREE_UNDO_INTERNAL_H
#define VG_TREE_UNDO_INTERNAL_H

#include "tree/copies.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "tree/undo.h"
#include "util/xattr.h"

/* On a directory of the layer that merges with the one below: what of its metadata the transaction
 * did not change. A guest cannot make attributes of this name space, and a fold lets none through.
 */
#define UNDO_SAME XATTR_OVERLAY "vguest.same"
enum { UNDO_SAME_ATTRIBUTES = 'a', UNDO_SAME_TIME = 't', UNDO_SAME_MAX = 4 };

#define UNDO_LINKS "undo-links" /* in txn/ */

/* More links than these are not made: an object needs some room. ext4 stops at 65000. */
enum { UNDO_LINKS_MAX = 62000 };

/* The layers of the guest, and txn/ with an empty txn/undo-links. */
struct undo_layers {
  struct lower root; /* owned */
  int txn_fd;        /* owned */
  int upper_fd;      /* owned: txn/upper */
  int links_fd;      /* owned: txn/undo-links */
};

int undo_layers_open (int guest_fd, struct undo_layers *ret_layers, struct err *err);
/* Removes txn/undo-links; the rest is left to undo_layers_release. */
int undo_layers_finish (struct undo_layers *layers, struct err *err);
void undo_layers_release (struct undo_layers *layers);
#define autoundolayers __attribute__ ((cleanup (undo_layers_release)))

#endif
