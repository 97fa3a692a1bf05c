/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that share blocks, on file systems with reflinks (XFS, btrfs). */
#ifndef VG_UTIL_REFLINK_H
#define VG_UTIL_REFLINK_H

#include "cleanup.h"
#include <stdint.h>

/* Has the file system of the directory @dir_fd reflinks? A file is made and cloned there. 1, 0, or
 * negative. */
int reflink_probe (int dir_fd, struct err *err);

/* Makes the file open at @to share the blocks of the one open at @from, as far as both are equal:
 * the kernel compares them under their locks and changes nothing that a reader sees
 * (FIDEDUPERANGE, ioctl_fideduperange(2)). @size: of both, in bytes. @ret_shared: how many bytes
 * share blocks now, fewer than @size when one was written meanwhile. */
int reflink_share (int from, int to, uint64_t size, uint64_t *ret_shared, struct err *err);

#endif
