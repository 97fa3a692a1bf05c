/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of fold's planning share: see fold.h for what fold does.
 *
 * The plan walks the upper layer U. For each directory of U there are two sinks, the tree and (in a
 * commit) private. A sink is in place when its layer already has the directory at this very path:
 * then changes of its entries become journal steps. Else it is staged: the directory is built in
 * txn/fold/ or in its staged parent, by links, and becomes visible with the step that puts the
 * topmost staged directory. Nothing in tree/ or private/ changes while planning.
 *
 * In a thin guest (lower.h) the tree has only what differs from its base. A directory that only the
 * base has at this path is staged as one that merges with it: it gets what U changes, and goes when
 * that is nothing. What is to be removed and is in the base becomes a whiteout, which is put like a
 * file, and a new directory that would merge with one of the base is opaque. All else, renamed
 * directories above all, is staged whole as in any guest, with links to files of the base. */
#ifndef VG_TREE_FOLD_PLAN_H
#define VG_TREE_FOLD_PLAN_H

#include "tree/fold.h"
#include "tree/journal.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "util/dirread.h"

struct plan {
  const struct fold_options *options; /* borrowed */
  struct fold_counts counts;
  int txn_fd;                    /* owned */
  int stage_fd;                  /* owned: txn/fold */
  int upper_fd;                  /* owned: the root of U */
  struct lower root;             /* owned: the layers below U */
  uint64_t next_number;          /* of txn/fold/N */
  uint64_t whiteout;             /* N + 1 of a whiteout in txn/fold, or 0 */
  struct journal_writer journal; /* owned; list 0: tree and private, list 1: U itself */
  struct u64table groups;        /* owned: inode of U with several names -> GROUP_* */
  struct u64table copies;        /* owned: metacopy inode of U -> N + 1 of its whole copy */
  struct strbuf path;            /* owned: of the directory the walk is in */
};

enum { GROUP_SEEN = 1, GROUP_NOT_EAGER = 2 };

/* Where a file of U belongs. */
enum destination { TO_TREE, TO_PRIVATE, TO_NOWHERE };

/* One of the two sinks at one directory. */
struct sink {
  bool exists; /* private has none when U is private itself */
  bool in_place;
  bool merges;  /* staged, over a directory of the base at this very path */
  int stage_fd; /* borrowed or owned by the level; -1 when in place */
  int base_fd;  /* borrowed: the directory of the base that this one merges with; or -1 */
};

/* The walk at one directory of U. */
struct level {
  int upper; /* owned */
  bool x_whiteouts;
  struct lower lower; /* owned: what merges below */
  struct sink tree;
  struct sink priv;
  struct rules_state rules; /* owned */
};

/* A file of U that goes somewhere: the inode to link, as a name in a directory. */
struct source {
  int dir_fd; /* borrowed */
  char *name; /* owned */
  uint64_t ino;
};

static inline unsigned plan_class (unsigned verdict)
{
  return verdict & FOLD_CLASS_MASK;
}

/* Is it an inode of a tree, which nothing may change? */
static inline bool plan_is_as_is (const struct plan *plan, uint64_t ino)
{
  return plan->options->as_is && u64table_has (plan->options->as_is, ino);
}

/* Fills plan->groups: hard-link groups of U are decided as a whole, so their names are looked at
 * first. */
int plan_scan_groups (struct plan *plan, int dir_fd, const struct rules_state *state,
                      struct err *err);

/* Decides about the file @name of U, which the policy's @verdict does not drop. */
int plan_decide (struct plan *plan, const char *name, const struct layer_entry *entry,
                 const struct source *source, unsigned verdict, enum destination *ret_destination,
                 struct err *err);

/* Makes a source for the file @name of U: its own inode, freed of the overlay's attributes, or the
 * whole copy of a metacopy file. */
int plan_source (struct plan *plan, struct level *level, const char *name,
                 const struct layer_entry *entry, struct source *ret_source, struct err *err);

/* Links @source into the sink as @name: at once when staged, else a put step. */
int plan_put (struct plan *plan, const struct sink *sink, char layer, const struct source *source,
              const char *name, struct err *err);

/* Takes @name out of the sink: a remove step where it is in place and has it, or a whiteout where
 * the base has it; @lower_fd is the layer's directory. */
int plan_remove (struct plan *plan, const struct sink *sink, char layer, int lower_fd,
                 const char *name, struct err *err);

/* Adds what the layers below show and U does not hide to the staged sinks: a renamed directory. */
int plan_copy_lower (struct plan *plan, const struct lower *lower,
                     const struct dirlist *upper_names, const struct sink *tree,
                     const struct sink *priv, bool *ret_tree_has, bool *ret_priv_has,
                     struct err *err);

#endif
