/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inodes of a tree, without a stat of any file. */
#ifndef VG_UTIL_INODES_H
#define VG_UTIL_INODES_H

#include "u64set.h"

struct err;

/* Adds the inode numbers of all that is below the directory @top_fd, directories not included, to
 * @inodes. Errors name the directory. */
int inodes_note (int top_fd, struct u64set *inodes, struct err *err);

#endif
