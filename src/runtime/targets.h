/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mount points that a guest lacks: made in its merged root before a run, removed again after it.
 *
 * A runtime makes missing mount points itself, and they would stay in the guest for good. Here they
 * are remembered and removed through the same merged mount, and the mtime of their directory is put
 * back unless something else changed the directory meanwhile; then nothing of ours is left to be
 * committed. A guest's symlinks are followed as the guest would see them and never outside. */
#ifndef VG_RUNTIME_TARGETS_H
#define VG_RUNTIME_TARGETS_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct target {
  int dir_fd; /* owned */
  char *name; /* owned */
  bool directory;
  ino_t ino;              /* of what was made */
  struct timespec before; /* mtime of dir_fd before and after it was made */
  struct timespec after;
};

struct targets {
  struct target *items; /* owned; in the order in which they were made */
  size_t count;
};
#define autotargets __attribute__ ((cleanup (targets_release)))

/* Makes @path below @root_fd a file, or a directory, to mount on, when it is missing or a symlink
 * that leads nowhere. ENOTDIR or EISDIR when something of another kind is there. */
int targets_prepare (struct targets *targets, int root_fd, const char *path, bool directory,
                     struct err *err);

/* /dev, /proc and /sys of a guest must be directories of its own, or not there: through a symlink
 * in their place a runtime makes the links of /dev in a directory of the host. ENOTDIR otherwise.
 * To be called while nothing runs in the guest, before each creation of a container. */
int targets_check_links (int root_fd, struct err *err);

/* Removes what was made and is still what was made. Closes all descriptors also on errors. */
int targets_undo (struct targets *targets, struct err *err);

/* Closes the descriptors and forgets. */
void targets_release (struct targets *targets);

#endif
