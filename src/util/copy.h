/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a new inode that equals another one. */
#ifndef VG_UTIL_COPY_H
#define VG_UTIL_COPY_H

#include "util/cleanup.h"
#include <sys/stat.h>

/* Makes @to in @to_dir: type, owner, mode, attributes and times of @from in @from_dir (whose stat
 * is @st; anything but a directory or a socket), and its contents: a reflink where the file system
 * has it, else a copy with holes kept. With @data not NULL the contents of a regular file are those
 * of the file @data in @data_dir, @st->st_size bytes. Overlay attributes are not copied. A @to that
 * was there is EEXIST; after other errors a partial @to is removed. */
int copy_inode (int from_dir, const char *from, const struct stat *st, int data_dir,
                const char *data, int to_dir, const char *to, struct err *err);

#endif
