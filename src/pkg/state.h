/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which guests are in the same state, as far as a package manager can tell?
 *
 * What a manager would do is the same in guests in which everything that it reads and runs is the
 * same: programs, libraries, package database, sources, keys (pkg_driver.state_paths). So it is
 * asked in one guest of each such group only. A guest cannot speak for others that way with
 * programs of its own: with them it would be in another group.
 *
 * Shared files are compared by the numbers of their inodes, which cost no stat; others by what is
 * in them. Times are left out, and so are the modes of directories. */
#ifndef VG_PKG_STATE_H
#define VG_PKG_STATE_H

#include "guest/guest.h"

/* The digest of @paths (files, or directories with all below them; NULL-terminated) in the layers
 * of
 * @guest, which does not run. Guests with equal digests have the same there. */
int pkg_state_digest (struct vroot *root, struct guest *guest, const char *const *paths,
                      struct digest *ret_digest, struct err *err);

#endif
