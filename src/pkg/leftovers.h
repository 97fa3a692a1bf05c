/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a run of a package manager leaves for the administrator to look at. */
#ifndef VG_PKG_LEFTOVERS_H
#define VG_PKG_LEFTOVERS_H

#include "pkg/driver.h"
#include <sys/types.h>
#include <time.h>

/* New versions of configuration files that were left beside changed ones: files in the layer @layer
 * of the guest ("txn/upper", "private", "tree", or "base": what a thin one shows of it) with a
 * suffix of the driver. @since: only those whose inode changed since then; NULL: all. Adds
 * "/etc/…", at most LEFTOVERS_MAX. */
enum { LEFTOVERS_MAX = 1000 };
int leftovers_conffiles (struct guest *guest, const struct pkg_driver *driver, const char *layer,
                         const struct timespec *since, struct names *ret_paths, struct err *err);

/* Programs in the pid namespace of @init_pid, the first process of a running guest, that have files
 * mapped which were deleted or replaced meanwhile, as upgraded libraries are. Adds their names,
 * sorted and unique. Processes that end meanwhile are passed over. */
int leftovers_restart (pid_t init_pid, struct names *ret_programs, struct err *err);

#endif
