/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptors from the top of a tree down to the directory worked in, the last 64 of them kept
 * open, so that the next entry of an archive, mostly of the same directory, costs no walk. Each is
 * opened from the one above it by a single name with O_NOFOLLOW: a symlink is never passed. */
#ifndef VG_TEMPLATE_DIRSTACK_H
#define VG_TEMPLATE_DIRSTACK_H

#include "util/cleanup.h"
#include <stdbool.h>

struct dirstack {
  int top_fd;           /* borrowed */
  struct level *levels; /* owned */
  size_t count;         /* levels open */
  size_t size;          /* levels allocated */
};

struct level {
  char *name; /* owned */
  int fd;     /* owned; -1 when not open */
};
#define autodirstack __attribute__ ((cleanup (dirstack_release)))

/* Goes to the directory of the first @count of @parts and gives its descriptor, which is borrowed
 * and valid until the next call. Levels below it are closed. With @make missing directories are
 * made (0700); *@ret_found is the number of leading parts that were there. Returns 0, or -1 with
 * errno: ENOENT, ENOTDIR or ELOOP (a symlink). */
int dirstack_enter (struct dirstack *stack, char *const *parts, size_t count, bool make,
                    int *ret_fd, size_t *ret_found);

/* Closes everything, as after a directory was removed. */
void dirstack_clear (struct dirstack *stack);
void dirstack_release (struct dirstack *stack);

#endif
