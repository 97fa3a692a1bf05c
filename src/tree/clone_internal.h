/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of clone share among themselves: the walk, and ways to place a file. */
#ifndef VG_TREE_CLONE_INTERNAL_H
#define VG_TREE_CLONE_INTERNAL_H

#include "tree/clone.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <pthread.h>

/* A target, and what is known of it while it is made. */
struct clone_place {
  struct clone_target *target; /* borrowed */

  /* clone_tree: */
  struct u64table full; /* owned: inodes of the source that could not be linked once more */
  bool noted;           /* the share has the inodes of the source */

  /* clone_copy_tree: */
  int partners_fd; /* owned; temporary links to copies with partners, named by the inode number */
  char partners_name[FD_TEMP_NAME_SIZE]; /* its directory in to_fd */
};

struct cloner {
  const struct rules *rules;
  int from_fd;   /* borrowed */
  int beside_fd; /* borrowed; the other layer of a thin guest's tree, or -1 */
  bool layer;    /* a private layer, which must not have forms of the overlay */
  bool flags;    /* a private layer for a private layer: with the protection flags */
  bool thin;     /* the own tree of a thin guest, whose forms are kept */
  /* Makes @to_dir/NAME of the entry of @from_dir, which is no directory and no socket. */
  int (*place) (struct cloner *cloner, struct clone_place *place, int from_dir,
                const struct dirread_entry *entry, int to_dir, struct err *err);
  struct clone_place *places; /* owned */
  size_t count;

  pthread_mutex_t mutex;      /* for the targets' err and counts.copied, and for: */
  struct clone_counts counts; /* the same for all targets */

  pthread_mutex_t full_mutex; /* for the store, and each place's full */
};

/* @targets are borrowed. */
void cloner_start (struct cloner *cloner, int from_fd, const struct rules *rules,
                   struct clone_target *targets, size_t count);
void cloner_release (struct cloner *cloner);

/* Walks the source with @threads threads. Negative when it could not be read. */
int cloner_run (struct cloner *cloner, size_t threads, struct err *err);

/* Has it failed? Its error is set once, under the mutex. */
bool cloner_failed (struct cloner *cloner, const struct clone_place *place);

/* The target fails; takes what is in @err. */
void cloner_fail (struct cloner *cloner, struct clone_place *place, struct err *err);

/* A file or directory that is only a part of what the guest sees must not be copied as if it were
 * all of it: EBUSY. */
int clone_refuse_forms (int from_dir, const char *name, struct err *err);

#endif
