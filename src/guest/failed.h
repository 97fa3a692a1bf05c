/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer of a transaction that failed, kept for a look: at most one.
 *
 *   guests/NAME/failed/upper/      the layer as the commands left it; never an upper layer again
 *   guests/NAME/failed/layer/      what was txn/layer, if anything: the upper one may build on it
 *   guests/NAME/failed/entry.json  what they were, as in the history
 *
 * It lies over the guest as it is: so it goes when a transaction is committed, after which it would
 * show a mixture. The caller holds the guest's lock exclusively, but for failed_read. */
#ifndef VG_GUEST_FAILED_H
#define VG_GUEST_FAILED_H

#include "guest/history.h"

/* In place of transaction_abort: the layer of the open transaction becomes the one that is kept,
 * and the guest is as before. */
int failed_keep (struct guest *guest, const struct history_note *note, struct err *err);

/* What was kept: 1, 0 when nothing was, or negative. */
int failed_read (struct guest *guest, struct history_entry *ret_entry, struct err *err);

/* Removes it. Returns 1, 0 when there was none, or negative. */
int failed_drop (struct guest *guest, struct err *err);

/* Begins a transaction above the failed layer, the guest as it was after the commands: with
 * failed_mount as transaction_mount, and transaction_abort at its end; it must not be committed.
 * ENOENT when there is none. */
int failed_begin (struct vroot *root, struct guest *guest, struct err *err);
int failed_mount (struct guest *guest, const char *target, struct err *err);

#endif
