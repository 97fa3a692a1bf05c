/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are put into the private layer of a guest that is being made. */
#ifndef VG_GUEST_PRIVATE_FILE_H
#define VG_GUEST_PRIVATE_FILE_H

#include "tree/lower.h"

/* Makes the file @name in at->priv; the other layers of @at are the same directory's, or -1. */
typedef int private_file_make (void *data, const struct lower *at, const char *name,
                               struct err *err);

/* Calls @make for the file @path ("etc/hosts") of the guest whose layers are @layers, with its
 * directory in the private layer. Directories that only the shared layers have are made like those;
 * no directory of the private layer changes its times. Does nothing when the guest sees no such
 * directory. */
int private_file_put (const struct lower *layers, const char *path, private_file_make *make,
                      void *data, struct err *err);

#endif
