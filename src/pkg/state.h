/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which guests are in the same state, as far as a package manager can tell?
 *
 * What a manager would do is the same in guests in which everything that it reads and runs is the
 * same: programs, libraries, package database, sources, keys (pkg_driver.state_paths). So it is
 * asked in one guest of each such group only. A guest cannot speak for others that way with
 * programs of its own: with them it would be in another group.
 *
 * Programs and libraries that are shared are compared by the numbers of their inodes, which cost
 * no stat; all else by what is in it, each shared file once for all guests, as the same
 * configuration that was written in two guests differs by its times. Times are left out, and so
 * are the modes of directories. */
#ifndef VG_PKG_STATE_H
#define VG_PKG_STATE_H

#include "pkg/driver.h"

/* What was read of shared files, for many guests. */
struct pkg_states {
  struct u64table known;  /* owned: inode number -> index in digests, from 1 */
  struct digest *digests; /* owned */
  size_t count;
};
void pkg_states_release (struct pkg_states *states);

struct pkg_state {
  struct digest sources; /* equal ones fetch from the same repositories; see share_lists */
  struct digest fetches; /* all but the package database: equal ones fetch the same metadata */
  struct digest all;     /* equal ones have the same plans as well */
};

/* The digests of the driver's source_paths, where it shares lists, and of its state_paths (files,
 * or directories with all below them) in the layers of @guest, which does not run, without and with
 * its database_paths; with state_packages, of its packages as well. */
int pkg_state_read (struct vroot *root, struct pkg_states *states, struct guest *guest,
                    const struct pkg_driver *driver, struct pkg_state *ret_state, struct err *err);

#endif
