/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What zypper prints; see driver.h. */
#ifndef VG_PKG_ZYPPER_H
#define VG_PKG_ZYPPER_H

#include "pkg/driver.h"

void zypper_line (const char *line, struct pkg_line *ret_line);

/* Of zypper --xmlout … --dry-run: <install-summary> with <to-upgrade>, <to-install>, … of
 * <solvable type="package" name= edition= arch= edition-old= arch-old=>. Only packages are taken,
 * not patches and patterns. Names are "name.arch". */
int zypper_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err);

/* Of the same where it failed: the first <message type="error">, the caller's, or NULL. */
char *zypper_explain (const char *output);

#endif
