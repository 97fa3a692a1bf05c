/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of this room. */
#ifndef VG_ENTRIES_INTERNAL_H
#define VG_ENTRIES_INTERNAL_H

#include "entries.h"
#include "fsck/change.h"
#include "fsck/places.h"
#include "unify/policy.h"

enum { ENTRIES_USE_BAD = 1 << 30 };

/* A place that is open, and what it has. */
struct entries_place {
  size_t index;              /* among fsck's */
  struct fsck_change change; /* owned */
  struct policy policy;      /* owned */
  struct u64set inodes;      /* owned: of its tree, its undo layers, and its base */
};

struct entries_run {
  struct vroot *root;
  struct fsck fsck;             /* owned: its places */
  struct entries_place *places; /* owned; that are open */
  size_t place_count;
  struct entries_report *report; /* borrowed */
};

/* Takes the lock, finds the places, and recovers what killed commands left. @run is the caller's to
 * end, also after an error. */
int entries_run_start (struct entries_run *run, struct err *err);
void entries_run_end (struct entries_run *run);

/* The same for who changes nothing: under the shared lock, and nothing is recovered. */
int entries_look_start (struct entries_run *run, struct err *err);

/* Opens one of fsck's places. Returns 1, 0 when it is in use, which is reported, or negative. */
int entries_open_place (struct entries_run *run, size_t index, struct err *err);

/* The same for who changes nothing: of the change there is no directory for links, and the lock is
 * a shared one. Only guests. */
int entries_look_place (struct entries_run *run, size_t index, struct err *err);

/* Counts a failure, which is told when it is the first. Empties @err. */
void entries_fail (struct entries_report *report, struct err *err);

/* Adds the inodes below @fd to those of the place. */
int entries_note_inodes (struct entries_place *place, int fd, struct err *err);

/* Notes, durably, the times of the directories of the tree that have one of @inodes; then takes
 * names to the links in change.temp_fd, which lead to what is on the disk already; then ends the
 * change. After an error nothing was changed, or the place is left to recovery. */
int entries_replace (struct entries_place *place, const struct u64table *inodes, struct err *err);

/* Ends a change of which no name was replaced, because of the error in @err. Returns that. */
int entries_give_up (struct entries_place *place, struct err *err);

#endif
