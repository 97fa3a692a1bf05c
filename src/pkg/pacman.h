/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What pacman prints, and how its database looks; see driver.h. */
#ifndef VG_PKG_PACMAN_H
#define VG_PKG_PACMAN_H

#include "pkg/driver.h"

void pacman_line (const char *line, struct pkg_line *ret_line);

/* Of --print-format 'install %n %v' or 'remove %n %v'. Other lines are passed over: questions that
 * --noconfirm answers are on standard output as well. */
int pacman_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err);

/* Does the output of a failed -Dk tell of a damaged database? Dependencies that are missing,
 * conflicts, and files of two packages are what an administrator may have wanted (-Rdd,
 * --overwrite), and no obstacle to pacman. */
bool pacman_is_damaged (const char *output);

/* Adds the package of the directory NAME-VERSION-RELEASE in var/lib/pacman/local. Others are passed
 * over, as by pacman. */
int pacman_add_entry (struct pkg_packages *packages, const char *directory, struct err *err);

/* Reads the names of the directories in var/lib/pacman/local: all that tells packages apart, at a
 * hundredth of the cost of reading their files. */
int pacman_read_installed (const int *layers, size_t count, struct pkg_packages *ret_packages,
                           struct err *err);

#endif
