/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unify: find files of a tree whose identical twin is in the store, and make them links to it.
 *
 * Errors while hashing, comparing or linking leave that file as it was and are reported by name:
 * they are counted in the report and do not end the pass. */
#ifndef VG_UNIFY_UNIFY_H
#define VG_UNIFY_UNIFY_H

#include "store/store.h"
#include "tree/fold.h"
#include "unify/policy.h"

struct unify_report {
  uint64_t files;           /* looked at: names that were not shared before */
  uint64_t bytes;           /* read to be hashed */
  uint64_t linked;          /* names that became links to an object that was there */
  uint64_t linked_bytes;    /* disk space that this gave back, by blocks */
  uint64_t published;       /* files that became new objects */
  uint64_t reflinked;       /* files of a running guest that share blocks with an object now */
  uint64_t reflinked_bytes; /* blocks that this gave back */
  uint64_t waiting;         /* files of a running guest that are shared when it stops */
  uint64_t waiting_bytes;
  uint64_t moved;    /* files moved from an upper layer to the tree */
  uint64_t dropped;  /* caches removed by the policy's drop rules */
  uint64_t failed;   /* files left as they were because of an error */
  char *first_error; /* owned; the text of the first of those, or NULL */
};

void unify_report_release (struct unify_report *report);
#define autounifyreport __attribute__ ((cleanup (unify_report_release)))

/* Adds the counts of @more to @total. */
void unify_report_add (struct unify_report *total, const struct unify_report *more);

/* Counts one failed file, keeping the text of the first. Empties @err. */
void unify_report_fail (struct unify_report *report, struct err *err);

/* Unifies everything in the tree open at @tree_fd whose inode is not in the store yet: the pass
 * over a tree costs its directories, and the files that are news. @base_fd is the base of a thin
 * guest's tree (tree/lower.h), which is only looked at, or -1. Links are made by way of @temp_fd,
 * and the times of directories that change are noted there: after a crash unify_recover puts them
 * back. With @dry_run nothing is changed, and linked counts what would be. Counts are added to
 * @report. */
int unify_tree (struct store *store, const struct policy *policy, int tree_fd, int base_fd,
                int temp_fd, bool dry_run, struct unify_report *report, struct err *err);

/* Unifies what the fold of the guest @guest_fd has just put into the tree: between fold_apply and
 * fold_finish. */
int unify_folded (struct store *store, const struct policy *policy, int guest_fd,
                  struct unify_report *report, struct err *err);

/* After a crash in one of the above: finishes hard-link groups of which some names were replaced,
 * and puts back the times of directories. Nothing to do is no error. Comes before anything else
 * that touches txn/. */
int unify_recover (int guest_fd, struct err *err);

/* Finds twins for fold, as its fold_twin_fn: in the store, or among identities that the caller
 * knows to be in another guest's private. Only files whose size says so are hashed. */
struct twins {
  struct store *store;          /* borrowed */
  struct u64table wanted_sizes; /* owned: sizes of wanted */
  struct u64table wanted;       /* owned: digest_key of identities that another private has */
  struct unify_report *report;  /* borrowed: errors are counted there, and the file stays */
};

void twins_release (struct twins *twins);
#define autotwins __attribute__ ((cleanup (twins_release)))

fold_twin_fn twins_find;

#endif
