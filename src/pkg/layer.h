/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host brings into a transaction: metadata of repositories and downloaded packages, as a
 * lower layer (txn/layer, see transaction.h) that the guest sees and cannot write to.
 *
 * The layer is a few directories with the metadata that they have in the guest, and in them hard
 * links to files of the host. A guest that writes to one of them gets a copy, as with its tree.
 *
 * What is brought in is fetched by the host, or by one guest for all of the same state:
 * pkg_layer_catch, its package manager, pkg_layer_take. */
#ifndef VG_PKG_LAYER_H
#define VG_PKG_LAYER_H

#include "guest/guest.h"

/* Makes @path ("var/cache/apt/archives") in txn/layer, with the metadata that its directories have
 * in the guest, or 0755 of root where it has none. Returns its descriptor, the caller's, or
 * negative. ENOTDIR when the guest has something else than a directory there. */
int pkg_layer_directory (struct guest *guest, const char *path, struct err *err);

/* The directory @path of txn/layer becomes what the directory open at @from_fd is: hard links to
 * its files, copies of its directories; and it hides what the guest has there. */
int pkg_layer_replace (struct guest *guest, const char *path, int from_fd, struct err *err);

/* Adds hard links to the files of the directory open at @from_fd to @path of txn/layer, beside what
 * the guest has there. */
int pkg_layer_add (struct guest *guest, const char *path, int from_fd, struct err *err);

/* Removes txn/layer; nothing to do without one. */
int pkg_layer_remove (struct guest *guest, struct err *err);

/* Before a transaction's command runs: what the guest has in the directory @path is copied to
 * txn/upper, so that all that is there at its end is in txn/upper alone. With @empty it is hidden
 * instead, so that nothing of this one guest gets to others. */
int pkg_layer_catch (struct guest *guest, const char *path, bool empty, struct err *err);

/* Behind it: moves that directory to @name in @to_fd, which is on the same file system. The
 * transaction is to be thrown away. What is no regular file or directory is removed. */
int pkg_layer_take (struct guest *guest, const char *path, int to_fd, const char *name,
                    struct err *err);

/* The same for packages alone: what is new in that directory and called so (".rpm") is moved to
 * @to_fd, into directories of the same names. Nothing but contents and time is left of each: with
 * an attribute that says so, dnf takes any file for one that it has verified. */
int pkg_layer_take_packages (struct guest *guest, const char *path, const char *suffix, int to_fd,
                             struct err *err);

/* Leaves nothing but contents and time of the file open at @fd, which a guest made: it is root's,
 * 0644, and has no attributes. */
int pkg_layer_make_plain (int fd, struct err *err);

/* Makes what txn/layer has in @path, by pkg_layer_replace, the guest's own: what the command has
 * not changed itself gets into txn/upper, and whiteouts for what the guest has there and the layer
 * has not. Where the policy says that the file moves to the tree in any case it is a hard link, so
 * that the files of all guests of a run are one inode from the start; else a copy. What the layer
 * has is new in this run: no tree has these inodes under other names. Nothing is mounted. */
int pkg_layer_keep (struct guest *guest, const char *path, struct err *err);

#endif
