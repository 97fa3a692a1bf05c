/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What apk prints, and its database; see driver.h. Written from apk-tools' manual pages and
 * sources, 2.10 to 2.14 and 3.0, and tested against output recorded from 2.7, 2.12, 2.14 and 3.0
 * only: no apk has been run by this code. */
#ifndef VG_PKG_APK_H
#define VG_PKG_APK_H

#include "pkg/driver.h"

enum { APK_INSTALLED_MAX = 256 << 20 }; /* bytes of the database */

void apk_line (const char *line, struct pkg_line *ret_line);

/* Of --simulate: "(1/3) Upgrading musl (1.2.4-r1 -> 1.2.4-r2)", "( 2/13) Installing a@edge (1-r0)",
 * "(3/3) Purging b (2-r0)". Other lines are passed over. */
int apk_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err);

/* Parses lib/apk/db/installed: paragraphs of "X:value" lines. Key: the name; state: what apk holds
 * to be broken; sorted. EINVAL with the line number for what is not such a file. */
int apk_installed_parse (const char *text, size_t len, struct pkg_packages *ret_packages,
                         struct err *err);

/* Reads it from the layers; on a system with merged /usr it is in usr/lib. */
int apk_installed_read (const int *layers, size_t count, struct pkg_packages *ret_packages,
                        struct err *err);

#endif
