/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is everything below a state root as it must be while no vguest runs?
 *
 * Looked at: every object's name is its identity; every use of an object is a link in some tree
 * and nothing else links to it; no inode is in two trees unless it is an object; trees and private
 * layers hold no whiteouts or overlay attributes, but the own tree of a thin guest those that hide
 * something of its base; nothing in a private layer is shared; no
 * transaction, journal, staging directory or mount is left. Identities are made here once more
 * from the words of store/identity.h, without the program's own code. */
#ifndef VG_TESTS_CHECK_H
#define VG_TESTS_CHECK_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

/* Each problem is a line on @out. @mounts: look at mounts below @root as well. @ret_summary may be
 * NULL; the caller's string. Negative when something could not be read at all. */
int check_root (const char *root, bool mounts, FILE *out, char **ret_summary, size_t *ret_problems,
                struct err *err);

#endif
