/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Putting a layer down into the tree below it. */
#ifndef VG_TREE_MERGE_H
#define VG_TREE_MERGE_H

#include "util/cleanup.h"

/* Moves all that is in the directory @from_fd, the copy of a layer, into the whole tree @to_fd,
 * which then is what the two showed: whiteouts and opaque directories take away what they hide.
 * Other forms of an overlay must not be there. Directories get the metadata of the layer's. Both
 * are in staging, as nothing is done twice here; @from_fd is left in pieces. */
int merge_layer (int from_fd, int to_fd, struct err *err);

#endif
