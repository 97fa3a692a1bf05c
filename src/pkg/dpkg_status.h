/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What dpkg says is in a guest: var/lib/dpkg/status.
 *
 * The file is the guest's, so nothing in it is trusted: stanzas of "Field: value" lines with
 * continuation lines, separated by empty lines (deb822(5)). Everything is bounded, names and
 * versions are kept as bytes, and what makes no sense is an error with its line number. */
#ifndef VG_PKG_DPKG_STATUS_H
#define VG_PKG_DPKG_STATUS_H

#include "pkg/changes.h"

enum { DPKG_STATUS_MAX = 256 << 20 }; /* bytes of a status file */

/* Parses @text: key "name:architecture", state as in Status, size from Installed-Size; sorted.
 * EINVAL with the line number for what is not such a file. Packages that are not installed and have
 * no configuration left are not counted. */
int dpkg_status_parse (const char *text, size_t len, struct pkg_packages *ret_packages,
                       struct err *err);

/* Reads the file from the first of the @layers, topmost first, that has it. A guest without dpkg
 * has no packages. */
int dpkg_status_read (const int *layers, size_t count, struct pkg_packages *ret_packages,
                      struct err *err);

#endif
