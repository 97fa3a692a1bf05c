/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who holds a lock: a hint for people, and no part of the lock.
 *
 * Whoever takes a lock writes "PID COMMAND since TIME" into its file. Several can share a lock, and
 * the one who wrote may be gone: /proc/locks tells who has it now, where it is to be had. */
#ifndef VG_UTIL_LOCKHOLDER_H
#define VG_UTIL_LOCKHOLDER_H

#include "cleanup.h"

/* Writes this process into the lock file open at @fd. */
void lockholder_write (int fd);

/* "1234 vapt-get since 2026-01-02T03:04:05Z", or what is known of it: of one who wrote nothing,
 * when the process began, "1234 vapt-get, running since …". The caller's string. */
char *lockholder_describe (int fd);

#endif
