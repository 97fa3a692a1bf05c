/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undo layers and rollbacks in the model. */
#ifndef VG_TESTS_UNDO_H
#define VG_TESTS_UNDO_H

#include "guest/history.h"
#include "model.h"

/* The world and its guest gN as the program's; all is borrowed. */
struct vroot undo_root (const struct world *world);
struct guest undo_guest (const struct world *world, int guest);

/* Undoes the newest transaction that can be. */
int undo_newest (struct world *world, int guest, struct err *err);

/* Directly after a commit: the undo layer shows what was there @before; and, now and then, a
 * rollback brings exactly that back, with hard-link partners, and one more what was there @after.
 * Both without what the policy drops. What is wrong, or NULL. */
const char *undo_check (struct rng *rng, struct world *world, int guest,
                        const struct manifest *before, const struct manifest *after,
                        struct err *err);

/* Some time after: a rollback, if there is anything to undo, makes of the guest what the kernel
 * makes of the undo layer over its layers. */
const char *undo_late (struct world *world, int guest, struct err *err);

#endif
