/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a guest's files from its layers, without a mount: what drivers need for package
 * databases.
 *
 * @layers are the descriptors of overlay layers, topmost first, of a guest that is stopped or runs;
 * the merged view is followed as the kernel shows it: whiteouts, opaque directories, and metadata
 * copies (tree/layer.h). Symlinks are not followed, neither on the way nor at the end: what lies
 * behind one is not there. A directory that the guest has moved away from its place in a lower
 * layer is EXDEV; that goes with the next fold. */
#ifndef VG_PKG_LOOKUP_H
#define VG_PKG_LOOKUP_H

#include "util/cleanup.h"
#include <stddef.h>

/* A directory in the layers that show it. */
struct pkg_lookup {
  int *fds;     /* owned, as the descriptors are; topmost first */
  size_t count; /* 0: there is no such directory */
};
void pkg_lookup_release (struct pkg_lookup *lookup);
#define autopkglookup __attribute__ ((cleanup (pkg_lookup_release)))

/* Finds the directory @path ("var/lib/pacman/local"). */
int pkg_lookup_dir (const int *layers, size_t count, const char *path,
                    struct pkg_lookup *ret_lookup, struct err *err);

/* Reads the regular file @path, of at most @maximum bytes. @ret_text is NUL-terminated and the
 * caller's. 1; 0 where there is none; EFBIG, or EINVAL for something else than a file. */
int pkg_lookup_file (const int *layers, size_t count, const char *path, size_t maximum,
                     char **ret_text, size_t *ret_len, struct err *err);

/* Calls @visit for the name of each directory in @lookup, in no order. Stops at its first negative
 * return, which is returned. */
int pkg_lookup_each_dir (const struct pkg_lookup *lookup,
                         int (*visit) (void *data, const char *name, struct err *err), void *data,
                         struct err *err);

#endif
