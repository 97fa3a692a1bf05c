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
  uint64_t files;        /* looked at: not shared before */
  uint64_t bytes;        /* read to be hashed */
  uint64_t linked;       /* names that became links to an object that was there */
  uint64_t linked_bytes; /* disk space that this gave back, by blocks */
  uint64_t published;    /* files that became new objects */
  uint64_t moved;        /* files moved from private to the tree */
  uint64_t dropped;      /* caches removed by the policy's drop rules */
  uint64_t failed;       /* files left as they were because of an error */
  char *first_error;     /* owned; the text of the first of those, or NULL */
};

void unify_report_release (struct unify_report *report);
#define autounifyreport __attribute__ ((cleanup (unify_report_release)))

/* Adds the counts of @more to @total. */
void unify_report_add (struct unify_report *total, const struct unify_report *more);

/* As struct share wants it: the inode numbers of all entries of a tree that are not directories,
 * read from directories only. */
int unify_tree_inodes (int tree_fd, struct u64table *inodes, struct err *err);

/* Unifies everything in the tree open at @tree_fd whose inode is not in the store yet. Links are
 * made by way of @temp_fd. With @dry_run nothing is changed. */
int unify_tree (struct store *store, const struct policy *policy, int tree_fd, int temp_fd,
                bool dry_run, struct unify_report *report, struct err *err);

#endif
