/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Identities of files (store/identity.h), made in another way than the program's. */
#ifndef VG_TESTS_IDENTITIES_H
#define VG_TESTS_IDENTITIES_H

#include "util/cleanup.h"
#include <sys/stat.h>

/* The identity of @name, as 64 hex digits, for all flags: 1 is that the mtime is none of it, 2 that
 * it may be an entry. @data_fd is where the contents are, or -1. */
enum { IDENTITIES = 4 };
int identities (int dir_fd, const char *name, const struct stat *st, int data_fd,
                char text[IDENTITIES][65], struct err *err);

#endif
