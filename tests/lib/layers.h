/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests look at below a guest's view: layers as they lie on disk, and the view itself. */
#ifndef VG_TESTS_LAYERS_H
#define VG_TESTS_LAYERS_H

#include "manifest.h"
#include <stddef.h>

/* Leaves the host's mount namespace for one of this process's own. */
int layers_own_namespace (struct err *err);

/* What a guest with these layers (topmost first) sees: they are mounted read-only, all as lower
 * layers, so nothing is written; whiteouts, redirects and metacopy are followed. The caller has a
 * mount namespace of its own. */
int layers_view (const int *layer_fds, size_t count, struct manifest *ret_manifest,
                 struct err *err);

/* The same for the guest @guest_fd: private, tree and, where it is thin, its base, with @over_fd,
 * which may be -1, over them. */
int layers_guest_view (int guest_fd, int over_fd, struct manifest *ret_manifest, struct err *err);

/* The raw base of a thin guest, or, where there is none, 0. */
int layers_base (int guest_fd, struct manifest *ret_manifest, struct err *err);

/* Is the inode a whiteout: a character device 0/0, or a file with the whiteout attribute? */
bool layers_is_whiteout (const struct manifest_entry *entry);

/* The same for the own tree of a thin guest, over the base @base: whiteouts and opaque directories
 * may be where the base has something to hide. */
size_t layers_check_thin (const struct manifest *manifest, const struct manifest *base,
                          const char *what, FILE *out);

/* Complains on @out about everything in the raw layer @manifest that must not be in it: whiteouts
 * and the overlay's attributes. With @allow_origin, attributes that say nothing about what is
 * seen (origin, impure, …) are let through. Returns the number of complaints. */
size_t layers_check_clean (const struct manifest *manifest, const char *what, bool allow_origin,
                           FILE *out);

#endif
