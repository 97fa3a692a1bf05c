/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of this room. */
#ifndef VG_FSCK_INTERNAL_H
#define VG_FSCK_INTERNAL_H

#include "fsck/fsck.h"
#include "fsck/places.h"
#include "util/strbuf.h"

enum { FSCK_PATH_MAX = 1 << 26 };

/* Adds a finding about @where. Can be called by several threads. */
void fsck_add (struct fsck *fsck, enum fsck_class class, bool error, const char *where,
               const char *format, ...) __attribute__ ((format (printf, 5, 6)));

/* walk.c: walks over all places, and notes who uses what. */
int fsck_walk (struct fsck *fsck, struct err *err);

/* layers.c: a directory, or a file that is not in the store, of a tree. @where is for messages.
 * @may_hide: it is the tree of a thin guest, or its top, and may hide what is below. */
int fsck_check_tree_directory (struct fsck *fsck, const char *where, int fd, bool may_hide,
                               struct err *err);
int fsck_check_tree_file (struct fsck *fsck, const char *where, int dir_fd, const char *name,
                          const struct stat *st, bool may_hide, struct err *err);
/* The private layer open at @fd. @clean: nothing of an overlay may be there. */
int fsck_check_private (struct fsck *fsck, const struct fsck_place *place, int fd, bool clean,
                        struct err *err);

/* merged.c: names of a guest that are hard links of one another and perhaps should not be. */
int fsck_check_merged (struct fsck *fsck, const struct fsck_place *place, int fd, struct err *err);

/* files.c: the files of a place, and what was left in it. Nothing is judged that changes when it is
 * in use. */
int fsck_check_files (struct fsck *fsck, const struct fsck_place *place, int fd, struct err *err);
/* What was left in staging. */
int fsck_check_staging (struct fsck *fsck, struct err *err);

/* entries.c: what entries are there; before the walk. */
int fsck_load_entries (struct fsck *fsck, struct err *err);

/* A file of a layer that is no object, and may be an entry. One thread at a time. */
int fsck_note_entry (struct fsck *fsck, const char *where, int dir_fd, const char *name,
                     const struct stat *st, struct err *err);

/* After the walk: links in store/data that no entry has. */
int fsck_check_entries (struct fsck *fsck, bool repair, struct err *err);

/* packages.c: which packages have the files that are damaged. */
void fsck_find_packages (struct fsck *fsck);

/* mend.c, good.c: under the exclusive root lock. */
int fsck_mend (struct fsck *fsck, struct err *err);

/* Where good copies of damaged objects are, or are made. */
struct good {
  struct fsck *fsck;      /* borrowed */
  struct staging staging; /* owned */
};
/* Finds, or makes, good ones for all objects that are used, as files "<digits>" in staging where
 * the store has none; sets source. */
int good_find (struct good *good, struct err *err);
/* Makes @link in @temp_fd a link to an inode that is @object as its name says: @wanted, or one that
 * is not in @inodes, and puts it there. Returns 1, and the inode in @ret_ino; 0 when there is none.
 */
int good_link (struct good *good, const struct fsck_object *object, struct u64set *inodes,
               uint64_t wanted, int temp_fd, const char *link, uint64_t *ret_ino, struct err *err);

#endif
