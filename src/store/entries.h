/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects that are entries (util/metaentry.h), and what their contents come from.
 *
 *   store/data/ab/<14 digits>   a hard link to the inode that has the contents of one entry
 *   store/data/new/             entries that are being made
 *
 * store/data is there as soon as the store may have entries; then every overlay has it as a
 * data-only layer. Each entry has one link there of its own, so the number of links of an inode
 * still tells whether it is in use, and a collector takes away the link with the entry. Links are
 * never judged by looking for their entries: one may be in a tree alone.
 *
 * The identity of an entry has IDENTITY_ENTRY. A whole file of that name is right as well: what
 * mends an entry makes one. Entries are made under the exclusive root lock, which keeps collectors
 * away. */
#ifndef VG_STORE_ENTRIES_H
#define VG_STORE_ENTRIES_H

#include "store/store.h"
#include "util/metaentry.h"

/* Is @ino in a tree that must not get it a second time? */
typedef bool entries_taken_fn (void *data, uint64_t ino);

/* Are the contents of the inode @ino of the store known to be those that the entry shall have? Then
 * they are not compared. */
typedef bool entries_equal_fn (void *data, uint64_t ino);

struct entries_request {
  const struct digest *id; /* with IDENTITY_ENTRY */
  unsigned flags;          /* of it */
  int like_dir;            /* a whole file of that identity: */
  const char *like;
  int data_dir; /* the inode with the contents, of which the caller knows that they are equal: */
  const char *data;
  entries_taken_fn *taken;
  entries_equal_fn *equal;
  void *fn_data; /* of both */
};

/* Finds an object, or makes one, that may stand for the file and whose inode is not taken. Returns
 * 1 and its slot and stat; 0 when an entry would free nothing. It is durable after a syncfs, and
 * entries_sweep is to follow. */
int entries_make (struct store *store, const struct entries_request *request, unsigned *ret_slot,
                  struct stat *ret_st, struct err *err);

/* Ends the making of entries, also for somebody who was killed: nothing is left in store/data/new.
 * Under the exclusive root lock, or with the lock of the collection. */
int entries_sweep (struct store *store, struct err *err);

/* Removes the file @name of @dir_fd, of which nobody can make another link, and when it is an entry
 * its link in store/data before. Returns 1 when it was one, 0, or negative. */
int entries_remove (struct store *store, int dir_fd, const char *name, struct err *err);

/* Removes store/data when there is no entry any more. With the lock of the collection. */
int entries_tidy (struct store *store, struct err *err);

/* May the store have entries? 1, 0 or negative. */
int entries_used (struct store *store, struct err *err);

#endif
