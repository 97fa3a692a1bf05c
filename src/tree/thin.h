/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The trees of thin guests (lower.h), made and made whole. All of it is done in staging. */
#ifndef VG_TREE_THIN_H
#define VG_TREE_THIN_H

#include "tree/clone.h"
#include "tree/lower.h"

/* Fills the empty directory @to_fd with all that tree and base of @lower show, as clone_tree does
 * with one tree; without a base it is clone_tree. @temp_fd is an empty directory, for what is on
 * the way. The cost is that of the base. */
int thin_clone_whole (const struct lower *lower, int to_fd, int temp_fd, const struct rules *rules,
                      struct share *share, struct clone_counts *ret_counts, struct err *err);

/* Fills the empty directory @to_fd with the tree of @lower alone, which has the base of @lower as
 * well; or, when there is no base but a whole tree, with one that has that as its base: nothing but
 * the metadata of the top. Then it leaves out what @rules say (CLONE_SKIP), by whiteouts: only
 * directories that a rule names, or whose names it matches with wildcards, are read. ERR_USAGE for
 * rules that are for any depth. */
int thin_clone_own (const struct lower *lower, int to_fd, const struct rules *rules,
                    struct share *share, struct clone_counts *ret_counts, struct err *err);

#endif
