/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cloning a tree, into several places at once: every file, symlink and special becomes a hard link,
 * directories are made with their whole metadata. No stat, open or path string per file, and the
 * source is read once for all its clones; hard-link partners stay partners, as they share the
 * source's inode. Sockets are left out: they mean nothing without the process that listens. */
#ifndef VG_TREE_CLONE_H
#define VG_TREE_CLONE_H

#include "store/store.h"
#include "util/rules.h"

enum { CLONE_SKIP = 1 }; /* verdict of an exclude rule: this path, and all below, is not cloned */

struct clone_counts {
  uint64_t files;
  uint64_t directories; /* the top directory included */
  uint64_t skipped;     /* entries left out: by a rule (what is below is not counted), sockets */
  uint64_t copied;      /* of the files: what could not be linked; clone_tree only */
};

/* One clone of several. What goes wrong with it stays with it, and leaves it half made for the
 * caller, who built it in staging, to remove. */
struct clone_target {
  int to_fd;                  /* borrowed: an empty directory */
  struct share *share;        /* borrowed; see clone_tree */
  struct clone_counts counts; /* set when it was made */
  struct err err;             /* owned by the caller; code 0 when it was made */
};

/* Clones the directory open at @from_fd into the empty one at @to_fd, metadata of the top
 * directory included. When an inode has no room for another link an equal one is used
 * (store_clone_full): @share has the store, an empty temp_fd of its own, and an empty table of
 * inodes, which is filled here when it is needed. Where links cannot be made (EXDEV, or a file
 * system without them) files are copied, as reflinks where that can be, and partners stay partners.
 * @rules may be NULL. On errors @to_fd is left half made for the caller to remove. */
int clone_tree (int from_fd, int to_fd, const struct rules *rules, struct share *share,
                struct clone_counts *ret_counts, struct err *err);

/* The same for one of the two layers of a thin guest's tree (lower.h); the other one is @beside_fd,
 * whose inodes are no choice either when one is full. With @own it is the guest's own tree:
 * whiteouts become whiteouts, with no link to those of @from_fd, and opaque directories stay that.
 * Partners that are in both layers are left to the caller: for each full inode there is a link in
 * the share's temp_fd. */
int clone_thin_tree (int from_fd, int beside_fd, bool own, int to_fd, const struct rules *rules,
                     struct share *share, struct clone_counts *ret_counts, struct err *err);

/* clone_tree into each of @count targets that has no error yet. Each of a few threads (at most 4)
 * has a descriptor for each target open. Negative when the source could not be read, and after a
 * signal: then none is whole. */
int clone_trees (int from_fd, const struct rules *rules, struct clone_target *targets, size_t count,
                 struct err *err);

/* Copies a private layer: like clone_tree, but files get inodes of their own (reflinks where the
 * file system has them, holes kept), partners within the layer stay partners. With @keep_flags,
 * which is for copies that are private layers again, files and directories keep the flags that make
 * them immutable or append-only in the guest. The layer must be clean: EBUSY when it has a whiteout
 * or another form of the overlay. */
int clone_copy_tree (int from_fd, int to_fd, const struct rules *rules, bool keep_flags,
                     struct clone_counts *ret_counts, struct err *err);

/* Gives the directory @to_fd mode, owner, times and attributes of the one open at @from_fd. */
int clone_directory_metadata (int from_fd, int to_fd, struct err *err);

#endif
