/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undoing transactions, the newest first, each by a transaction of its own: so it is there in the
 * history, and can be undone as well. */
#ifndef VG_GUEST_ROLLBACK_H
#define VG_GUEST_ROLLBACK_H

#include "guest/history.h"
#include "tree/undo.h"
#include "unify/unify.h"

struct rollback {
  struct history history; /* owned */
  uint64_t *ids;          /* owned; what is to be undone, newest first */
  size_t count;
};

void rollback_release (struct rollback *rollback);
#define autorollback __attribute__ ((cleanup (rollback_release)))

/* Decides what is to be undone: the newest transaction that can be, or with @id not 0 all that was
 * done since the state before that one, and not undone since. The guest is locked exclusively.
 * Errors: EBUSY when it runs; ERR_NOTHING when there is nothing to undo; ERR_USAGE for an @id that
 * is none, or of one that failed; EPERM when one in between cannot be undone. */
int rollback_plan (struct vroot *root, struct guest *guest, uint64_t id,
                   struct rollback *ret_rollback, struct err *err);

/* Undoes the @i-th of them. Those before it are done. @ret_id is the rollback's own number. After
 * an error the guest is as before, or the text says that the next command finishes it. */
int rollback_undo (struct vroot *root, struct guest *guest, const struct rollback *rollback,
                   size_t i, struct unify_report *report, uint64_t *ret_id, struct err *err);

/* What that would change in the guest as it is now. */
int rollback_list (struct guest *guest, uint64_t id, undo_visit_fn *visit, void *data,
                   struct err *err);

#endif
