/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the names of inodes are: hard-link partners of what a layer on top replaces or hides. */
#ifndef VG_TREE_PARTNERS_H
#define VG_TREE_PARTNERS_H

#include "util/cleanup.h"
#include "util/u64table.h"

/* One name. */
struct partner {
  uint64_t ino;
  int dir_fd;           /* borrowed: its directory */
  const char *dir_path; /* borrowed; "" is the top */
  const char *name;     /* borrowed */
  bool known;           /* the layer beside has it as well */
};

enum { PARTNERS_OVER = 3 };

struct partners_walk {
  int layer_fd;                  /* borrowed: a tree, its base, or a clean private layer */
  int over_fds[PARTNERS_OVER];   /* borrowed: the layers over it, upper layers or clean; or -1 */
  int beside_fd;                 /* borrowed: see struct partner; or -1 */
  const struct u64table *inodes; /* borrowed: the inodes that are looked for */
  int (*visit) (void *data, const struct partner *partner, struct err *err);
  void *data;
};

/* Calls visit for each name in the layer, not a directory, that is on one of the inodes and that
 * the layers over it neither have nor hide. Reads directories only, no stat. A negative return of
 * visit ends the walk and is passed on. */
int partners_each (const struct partners_walk *walk, struct err *err);

#endif
