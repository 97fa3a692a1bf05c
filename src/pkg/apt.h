/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What apt and dpkg print, and apt's lists; see driver.h. */
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

/* apt_lists.c: lists that guests give one another. */
int apt_share_lists (int from_fd, int to_fd, size_t *ret_count, struct err *err);
int apt_start_lists (int shared_fd, int lists_fd, struct err *err);
int apt_end_lists (int shared_fd, int lists_fd, struct err *err);

#endif
