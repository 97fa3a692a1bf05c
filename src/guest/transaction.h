/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transaction: a command runs on a stopped guest in a fresh upper layer above private, and the
 * layer is committed as a whole or thrown away as a whole.
 *
 *   txn/upper txn/work    the layer; thrown away by recovery when txn/journal is not there
 *   txn/layer             may be put there by the caller, behind transaction_begin: a layer that
 *                         the command sees between txn/upper and private, read-only like all lower
 *                         ones, and that is no part of what is committed
 *   txn/journal           what the commit does; recovery carries it out
 *   txn/entry             what the history will say of it, and what undoes it: see history.h
 *
 * Life cycle: transaction_begin; in the child, in a mount namespace of its own,
 * transaction_mount, run, unmount; then transaction_commit or transaction_abort. The caller holds
 * the guest's lock exclusively all the time, and the overlay is unmounted before commit. */
#ifndef VG_GUEST_TRANSACTION_H
#define VG_GUEST_TRANSACTION_H

#include "guest/history.h"
#include "unify/unify.h"

/* Folds private first, and makes the empty layer. EBUSY when somebody has the guest mounted. */
int transaction_begin (struct vroot *root, struct guest *guest, struct err *err);

/* Mounts the merged root of the transaction (volatile, nodev) on the directory @target. Only in a
 * child, behind overlay_enter_namespace (guest->fd, …): the layers are opened from the working
 * directory, and the mount goes when the last process of the namespace does. */
int transaction_mount (struct guest *guest, const char *target, struct err *err);

/* The same with the @over_count layers @over, uppermost first, in place of txn/layer. */
int transaction_mount_over (struct guest *guest, const int *over, size_t over_count,
                            const char *target, struct err *err);

/* The same without a transaction: above the layers of the stopped guest (and txn/layer, where it
 * is) is one in memory, and what is written goes with the mount. Nothing was begun, and nothing is
 * to be thrown away. */
int transaction_mount_query (struct guest *guest, const char *target, struct err *err);

/* Refuses a guest that is used (EBUSY), and settles it, for transaction_mount_query. */
int transaction_prepare_query (struct vroot *root, struct guest *guest, struct err *err);

struct commit_options {
  const struct history_note *note; /* for the guest's history; NULL: none is kept, and it cannot be
                                      undone */
  const struct u64table *as_is;    /* of a rollback: see fold.h; else NULL */
};

/* Makes the layer part of the guest: fold and unify. After an error before the journal was
 * written the guest is as before and transaction_abort must follow; after one behind that point
 * the next guest_open finishes the commit. Files that could not be unified are counted in
 * @report, with the first such error in its text, and are not a failure of the commit. @ret_id is
 * the number of the transaction in the history (history.h), 0 when it changed nothing or none is
 * kept. */
int transaction_commit (struct vroot *root, struct guest *guest,
                        const struct commit_options *options, struct unify_report *report,
                        uint64_t *ret_id, struct err *err);

/* Throws the layer away: the guest is as before. */
int transaction_abort (struct vroot *root, struct guest *guest, struct err *err);

/* A trial: the guest runs on the layer before it is decided about, so that an upgrade after which
 * it does not come up costs nothing to undo.
 *
 *   transaction_keep      behind the commands: the layer is durable and can be mounted again
 *   transaction_accept    the layer is the guest's from here on: txn/accepted. It is committed when
 *                         the guest has stopped, by guest_recover. One that nobody accepted is
 *                         thrown away then */

/* Makes the layer durable, with a new work directory for a mount that is not volatile; and, with a
 * @note, the entry in the history that it will have when it is committed: what it undoes is what
 * the commands did, and not what the guest does on the layer from here on. */
int transaction_keep (struct guest *guest, const struct history_note *note, uint64_t *ret_id,
                      struct err *err);

/* Marks the layer as accepted, durably. */
int transaction_accept (struct guest *guest, struct err *err);

/* Is there a layer to run on, kept or accepted? 1, 0 or negative. */
int transaction_kept (struct guest *guest, struct err *err);

/* Is it accepted? 1, 0 or negative. */
int transaction_accepted (struct guest *guest, struct err *err);

/* Commits the accepted layer of the guest, which has stopped; nothing to do without one. */
int transaction_commit_accepted (struct vroot *root, struct guest *guest,
                                 struct unify_report *report, struct err *err);

/* Removes the mark, once a journal stands for it. */
int transaction_unmark (struct guest *guest, struct err *err);

#endif
