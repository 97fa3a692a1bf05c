/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fold: bring what belongs in the tree from an upper layer into the tree.
 *
 * The upper layer U lies over private P and tree T (a transaction's commit), or U is private itself
 * over T (after a run). What the guest sees, type, contents, metadata and hard-link partners of
 * every path, is the same before and after.
 *
 * How: fold_plan only reads, and prepares new inodes and directories in txn/fold/; it writes
 * txn/journal, which is durable before anything else changes. fold_apply carries the journal out;
 * every step can be repeated, so recovery calls it again. fold_finish removes journal and
 * leftovers. The overlay is unmounted, and the guest's lock held, all the time. */
#ifndef VG_TREE_FOLD_H
#define VG_TREE_FOLD_H

#include "store/store.h"
#include "util/rules.h"

/* Verdicts of policy rules about a path. */
enum {
  FOLD_SHARED = 0,  /* moves to the tree when it has a twin */
  FOLD_PRIVATE = 1, /* never moves */
  FOLD_EAGER = 2,   /* moves always */
  FOLD_DROP = 3,    /* is removed */
  FOLD_CLASS_MASK = 3,
  FOLD_ANY_MTIME = 4, /* mtime is not part of the identity */
};

/* Has the file a twin elsewhere? Called for files of class FOLD_SHARED. Returns 1, 0, negative. */
typedef int fold_twin_fn (void *data, int dir_fd, const char *name, const struct stat *st,
                          unsigned verdict, struct err *err);

struct fold_options {
  int guest_fd;              /* guests/NAME: has tree/, private/, txn/ */
  bool commit;               /* U is txn/upper over private; else U is private */
  const struct rules *rules; /* policy */
  fold_twin_fn *twin;        /* NULL: nothing has a twin */
  void *twin_data;
  const struct u64table *as_is; /* inodes of U that are a tree's: they go to the tree as they are,
                                   see undo.h; or NULL */
};

struct fold_counts {
  uint64_t moved;   /* files that went to the tree */
  uint64_t dropped; /* files removed by drop rules */
};

/* Plans and writes the journal. Returns 1, or 0 when there is nothing to do (no journal then). */
int fold_plan (const struct fold_options *options, struct fold_counts *ret_counts, struct err *err);

/* Is there a journal, applied or not? Returns 1, 0 or negative. */
int fold_pending (int guest_fd, struct err *err);

/* Carries the journal out, from any point of an earlier try, and removes the upper of a commit.
 * Does nothing but the removal when it was carried out before. */
int fold_apply (int guest_fd, struct err *err);

/* Calls @visit for each name that the journal put into the tree: @dir_fd is its directory in
 * tree/. Only after fold_apply. */
int fold_each_put (int guest_fd,
                   int (*visit) (void *data, int dir_fd, const char *dir_path, const char *name,
                                 struct err *err),
                   void *data, struct err *err);

/* Removes everything in txn/ but an applied journal: an abandoned transaction or plan. EBUSY when
 * there is a journal to be carried out. */
int fold_clear (int guest_fd, struct err *err);

/* Removes the applied journal and what is left in txn/. */
int fold_finish (int guest_fd, struct err *err);

#endif
