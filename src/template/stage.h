/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tree as a guest in staging, so that commands can be run in it as a transaction, and back. */
#ifndef VG_TEMPLATE_STAGE_H
#define VG_TEMPLATE_STAGE_H

#include "guest/guest.h"
#include "template/import.h"
#include "util/rules.h"

/* Makes a guest in the staging directory of @import whose tree is that open at @tree_fd, of a
 * template, or the import's own, which is complete (import_complete). No guest of the root has its
 * name. The caller's: guest_close; it goes with the import. */
int stage_make (struct import *import, int tree_fd, struct guest **ret_guest, struct err *err);

/* What @guest, which has no transaction, sees becomes the tree of @import, in place of what is
 * there. @rules, which may be NULL, say what is left out (CLONE_SKIP). */
int stage_take (struct import *import, struct guest *guest, const struct rules *rules,
                struct err *err);

#endif
