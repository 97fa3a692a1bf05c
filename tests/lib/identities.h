/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Identities of files (store/identity.h), made in another way than the program's. */
#ifndef VG_TESTS_IDENTITIES_H
#define VG_TESTS_IDENTITIES_H

#include "util/cleanup.h"
#include <sys/stat.h>

/* The identity of @name, as 64 hex digits, with and without the mtime. */
int identities (int dir_fd, const char *name, const struct stat *st, char text[2][65],
                struct err *err);

#endif
