/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reserve of the state root's file system: below it nothing that takes space begins. Deleting,
 * collecting, unifying, rolling back and reading always go on, as they make room or take none. */
#ifndef VG_GUEST_SPACE_H
#define VG_GUEST_SPACE_H

#include "guest/root.h"

struct space {
  uint64_t total_bytes;
  uint64_t free_bytes;    /* for others than root as well */
  uint64_t reserve_bytes; /* "min_free" of vguest.conf */
  uint64_t total_files;   /* inodes; 0 when the file system has no fixed number */
  uint64_t free_files;
  uint64_t reserve_files; /* the same share of the inodes */
};

/* What "min_free" says for a file system of @total_bytes: "5%", "0.5%", "2G", bytes, or NULL for
 * the default: 5 %, and no more than 2 GiB, which is plenty to clean up in on a large file system.
 * ERR_USAGE. */
int space_parse_reserve (const char *text, uint64_t total_bytes, uint64_t *ret_reserve,
                         struct err *err);

int space_read (struct vroot *root, struct space *ret_space, struct err *err);

/* May something begin that takes about @needed bytes (0: nobody knows)? ERR_NO_SPACE, exit status
 * 6, when that would leave less than the reserve. @what begins the message: "clone guests". */
int space_check (struct vroot *root, uint64_t needed, const char *what, struct err *err);

#endif
