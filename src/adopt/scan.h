/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A look over all of a tree before anything is done with it. */
#ifndef VG_ADOPT_SCAN_H
#define VG_ADOPT_SCAN_H

#include "util/cleanup.h"
#include <stdint.h>
#include <sys/stat.h>

struct scan {
  uint64_t files;        /* names that are not directories */
  uint64_t directories;  /* with the top */
  uint64_t bytes;        /* on the disk, each inode once */
  uint64_t sockets;      /* of files */
  uint64_t protected;    /* names with the flags immutable or append-only */
  char *first_protected; /* owned; the path of the first of those, or NULL */
};

void scan_release (struct scan *scan);
#define autoscan __attribute__ ((cleanup (scan_release)))

/* Walks the tree open at @fd. ERR_USAGE for what is no tree of its own: a layer of an overlay
 * (trusted.overlay.* attributes, whiteouts), another file system or subvolume in it, or the
 * directory that is @other (the state root). */
int scan_tree (int fd, const struct stat *other, struct scan *ret_scan, struct err *err);

#endif
