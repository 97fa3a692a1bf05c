/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which package manager has a guest? */
#ifndef VG_PKG_FIND_H
#define VG_PKG_FIND_H

#include "pkg/driver.h"

/* The layers of a guest in which files are looked for, topmost first: private, tree and, of a
 * thin guest, its base, of one that is stopped or runs (what a running one has deleted is still in
 * tree). */
struct pkg_layers {
  int fds[4]; /* owned; with txn/upper before them where that is there */
  size_t count;
};
int pkg_layers_open (struct guest *guest, struct pkg_layers *ret_layers, struct err *err);
void pkg_layers_close (struct pkg_layers *layers);
#define autopkglayers __attribute__ ((cleanup (pkg_layers_close)))

/* Finds the driver for @guest: @driver where it is not NULL, else the first of pkg_drivers whose
 * database and one of whose programs are there; and the program: @program where the guest has it,
 * else the first of the driver's. Both are borrowed from the drivers. ENOENT, with what was looked
 * for, when the guest has none. */
int pkg_find (struct guest *guest, const struct pkg_driver *driver, const char *program,
              const struct pkg_driver **ret_driver, const char **ret_program, struct err *err);

/* Has the guest any metadata of repositories? 1, 0 or negative. */
int pkg_has_lists (struct guest *guest, const struct pkg_driver *driver, struct err *err);

#endif
