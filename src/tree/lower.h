/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies below an upper layer: a clean private over a tree, and in a thin guest the tree over a
 * base.
 *
 * The base is the tree of a template's generation, to which guests/NAME/base is a symbolic link
 * ("../../templates/TEMPLATE/GENERATION/tree"). Nothing ever writes there. A thin guest's own tree
 * has only that in which the guest differs from its base, as a layer of an overlay:
 *
 *   - a name in it hides that name of the base; directories of both merge, and the tree's has all
 *     of the metadata;
 *   - a character device 0/0 is a whiteout. There is none but where the base has the name, in a
 *     directory that merges: anywhere else the kernel would show it;
 *   - trusted.overlay.opaque is "y" at a directory that hides one of the base.
 *
 * No other form is in it: its files are whole, and are objects as those of any tree. What a fold
 * has to take from the base, a renamed directory, is linked into the tree by the fold.
 *
 * A tree whose top is opaque has no base, whatever "base" says: so a guest ceases to be thin in one
 * step (guest/thin.h). */
#ifndef VG_TREE_LOWER_H
#define VG_TREE_LOWER_H

#include "util/dirread.h"

/* -1 where a layer has no directory, or one above it hides it. */
struct lower {
  int priv;
  int tree;
  int base;
};
#define LOWER_NONE ((struct lower){-1, -1, -1})

/* All closed, all -1. */
void lower_close (struct lower *lower);
#define autolower __attribute__ ((cleanup (lower_close)))

/* Opens private/ (else -1), tree/ and the base of the guest @guest_fd, which may be AT_FDCWD. */
int lower_open (int guest_fd, bool with_private, struct lower *ret_lower, struct err *err);

/* The base of the guest @guest_fd, whose tree/ is open at @tree_fd. @ret_fd is -1 when it is not
 * thin. EUCLEAN when the link leads nowhere. */
#define LOWER_BASE "base"
int lower_open_base (int guest_fd, int tree_fd, int *ret_fd, struct err *err);

/* The topmost of the directories that merge there, or -1; borrowed. */
static inline int lower_top (const struct lower *lower)
{
  return lower->priv >= 0 ? lower->priv : lower->tree >= 0 ? lower->tree : lower->base;
}

/* The same without private: the directory whose metadata the shared layers show. */
static inline int lower_shared_top (const struct lower *lower)
{
  return lower->tree >= 0 ? lower->tree : lower->base;
}

/* What the directory @name of @lower merges: a file hides what is below it. All -1 when there is no
 * directory. */
int lower_child (const struct lower *lower, const char *name, struct lower *ret_child,
                 struct err *err);

/* The directories at @path ("/a/b") below @root, merged as above. */
int lower_lookup (const struct lower *root, const char *path, struct lower *ret_lower,
                  struct err *err);

/* Which layer shows the non-directory @name: the fd (borrowed), or -1 when none does or a directory
 * or a whiteout hides it. */
int lower_find_file (const struct lower *lower, const char *name);

/* What is in the directories of @lower: each name once, in the list of the topmost layer that has
 * it, and none that is hidden. Directories of that name may be below as well: lower_child. */
struct lower_lists {
  struct dirlist priv, tree, base; /* owned */
};
void lower_lists_release (struct lower_lists *lists);
#define autolowerlists __attribute__ ((cleanup (lower_lists_release)))

int lower_read (const struct lower *lower, struct lower_lists *ret_lists, struct err *err);

#endif
