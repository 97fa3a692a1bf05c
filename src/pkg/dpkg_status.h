/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What dpkg says is in a guest: var/lib/dpkg/status, and what changed between two of them.
 *
 * The file is the guest's, so nothing in it is trusted: stanzas of "Field: value" lines with
 * continuation lines, separated by empty lines (deb822(5)). Everything is bounded, names and
 * versions are kept as bytes, and what makes no sense is an error with its line number. */
#ifndef VG_PKG_DPKG_STATUS_H
#define VG_PKG_DPKG_STATUS_H

#include "util/cleanup.h"
#include <stddef.h>

enum {
  DPKG_STATUS_MAX = 256 << 20, /* bytes of a status file */
  DPKG_PACKAGES_MAX = 1000000,
  DPKG_FIELD_MAX = 1024, /* bytes of a name, architecture, version or state */
};

struct dpkg_package {
  char *key;   /* owned; "name:architecture" */
  char *value; /* owned; "state version": "install ok installed 1.2-3" */
};

struct dpkg_status {
  struct dpkg_package *items; /* owned; sorted by key */
  size_t count;
};

void dpkg_status_release (struct dpkg_status *status);
#define autodpkgstatus __attribute__ ((cleanup (dpkg_status_release)))

/* Parses @text. EINVAL with the line number for what is not such a file; a package that is named
 * twice is one. Packages that are not installed and have no configuration left are not counted. */
int dpkg_status_parse (const char *text, size_t len, struct dpkg_status *ret_status,
                       struct err *err);

/* Reads the file of the stopped guest open at @guest_fd: from private, else from tree. A guest
 * without dpkg has an empty one. */
int dpkg_status_read (int guest_fd, struct dpkg_status *ret_status, struct err *err);

/* How many packages were added, removed, or have another version or state. */
size_t dpkg_status_changed (const struct dpkg_status *before, const struct dpkg_status *after);

#endif
