/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What dnf prints; see driver.h. */
#ifndef VG_PKG_DNF_H
#define VG_PKG_DNF_H

#include "pkg/driver.h"

void dnf_line (const char *line, struct pkg_line *ret_line);

/* Is the table of a transaction in @text, which dnf was told not to run? Its exit status is the
 * same as that of an error then. */
bool dnf_has_plan (const char *text);

/* The table of a transaction, as dnf prints it before it asks: of dnf 4 and 5, and of yum. Names
 * are "name.arch". The old version of an upgrade is told by dnf 5 only. */
int dnf_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err);

#endif
