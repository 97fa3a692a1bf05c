/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a thin guest a full one: its tree gets all that its base shows through it, as links.
 *
 * The whole tree is built in staging and its top marked opaque; one RENAME_EXCHANGE with tree/ is
 * the step, as a tree with that mark has no base (tree/lower.h). Then the link goes, and the mark;
 * guest_recover does that as well. */
#ifndef VG_GUEST_THICKEN_H
#define VG_GUEST_THICKEN_H

#include "guest/guest.h"
#include "tree/clone.h"

/* The guest is locked exclusively. Returns 1, or 0 when it is no thin guest; EBUSY when it is used,
 * also while what a run left is not folded. */
int guest_thicken (struct vroot *root, struct guest *guest, struct clone_counts *ret_counts,
                   struct err *err);

/* Finishes what a killed one left behind the exchange. */
int thicken_recover (struct guest *guest, struct err *err);

#endif
