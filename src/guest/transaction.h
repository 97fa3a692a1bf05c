/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transaction: a command runs on a stopped guest in a fresh upper layer above private, and the
 * layer is committed as a whole or thrown away as a whole.
 *
 *   txn/upper txn/work    the layer; thrown away by recovery when txn/journal is not there
 *   txn/journal           what the commit does; recovery carries it out
 *
 * Life cycle: transaction_begin; in the child, in a mount namespace of its own,
 * transaction_mount, run, unmount; then transaction_commit or transaction_abort. The caller holds
 * the guest's lock exclusively all the time, and the overlay is unmounted before commit. */
#ifndef VG_GUEST_TRANSACTION_H
#define VG_GUEST_TRANSACTION_H

#include "guest/guest.h"
#include "unify/unify.h"

/* Folds private first, and makes the empty layer. EBUSY when somebody has the guest mounted. */
int transaction_begin (struct vroot *root, struct guest *guest, struct err *err);

/* Mounts the merged root of the transaction (volatile, nodev) on the directory @target. Only in a
 * child, behind overlay_enter_namespace (guest->fd, …): the layers are opened from the working
 * directory, and the mount goes when the last process of the namespace does. */
int transaction_mount (struct guest *guest, const char *target, struct err *err);

/* Makes the layer part of the guest: fold and unify. After an error before the journal was
 * written the guest is as before and transaction_abort must follow; after one behind that point
 * the next guest_open finishes the commit. Files that could not be unified are counted in
 * @report, with the first such error in its text, and are not a failure of the commit. */
int transaction_commit (struct vroot *root, struct guest *guest, struct unify_report *report,
                        struct err *err);

/* Throws the layer away: the guest is as before. */
int transaction_abort (struct vroot *root, struct guest *guest, struct err *err);

#endif
