/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a stopped guest sees, tree and private layer, as one new tree. */
#ifndef VG_TEMPLATE_FREEZE_H
#define VG_TEMPLATE_FREEZE_H

#include "guest/identity.h"
#include "template/import.h"

/* Fills the empty tree of @import from the layers of a guest that is not mounted: files of its tree
 * become hard links, those of its private layer are copied and published. @rules, which may be
 * NULL, say what is left out (CLONE_SKIP). EBUSY when the private layer is not clean. Files that
 * could not be shared are counted in the writer's report. */
int freeze_layers (struct import *import, const struct lower *layers, const struct rules *rules,
                   struct err *err);

#endif
