/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What apt and dpkg print; see driver.h. */
#ifndef VG_PKG_APT_H
#define VG_PKG_APT_H

#include "pkg/driver.h"

void apt_line (const char *line, struct pkg_line *ret_line);

/* Of apt-get --simulate: "Inst libc6 [2.36-9] (2.36-9+deb12u9 Debian:12.9/stable [amd64])", "Remv
 * hello [2.10-3]", "Conf …". */
int apt_parse_plan (const char *text, size_t len, struct pkg_changes *changes, struct err *err);

/* Of apt-get --print-uris: "'URI' NAME SIZE KIND:HASH". Other lines are passed over: it says what
 * it is about to do before. */
int apt_parse_uris (const char *text, size_t len, struct pkg_files *files, struct err *err);

#endif
