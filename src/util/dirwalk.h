/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walking a tree of directories by several threads; a piece of work is one directory.
 *
 * A directory that waits for its turn has no descriptor and no path: a name, and the directory
 * above it. When its turn comes it is opened by its path beneath the top, symlinks never followed,
 * and it is closed behind its visit. So depth and breadth cost no descriptors, only a name for each
 * directory that waits; the one found last comes first. A directory is visited when the visit of
 * the one above has ended. */
#ifndef VG_UTIL_DIRWALK_H
#define VG_UTIL_DIRWALK_H

#include "util/rules.h"
#include <stdint.h>

enum { DIRWALK_THREADS_MAX = 16 };

/* One directory whose turn it is. */
struct dirwalk_turn {
  int fd;                          /* borrowed: the directory, at its start */
  const char *path;                /* borrowed; "" is the top */
  const struct rules_state *state; /* borrowed: of the rules in this directory */
  size_t thread;                   /* 0 is the caller's */
  struct run *run;                 /* the walk's own, as what follows */
  struct dirwalk_node *node;
  struct dirwalk_node *found;
};

struct dirwalk {
  int top_fd;                /* borrowed */
  int flags;                 /* to open directories with, such as O_NOATIME */
  bool may_vanish;           /* directories that are gone when it is their turn are no error */
  const struct rules *rules; /* borrowed, or NULL */
  const struct rules_state *state; /* borrowed: of the rules at the top */
  size_t threads; /* 1 to DIRWALK_THREADS_MAX, the caller's included; a small tree gets fewer */
  /* Called for each directory, by several threads at once. It calls dirwalk_enter for those below
   * that shall be visited as well. Negative ends the walk, and is passed on. */
  int (*visit) (void *data, struct dirwalk_turn *turn, struct err *err);
  void *data;
};

/* @name, a directory in that of @turn, shall be visited too. @state, of the rules there, is taken
 * over; NULL when the walk has no rules. */
void dirwalk_enter (struct dirwalk_turn *turn, const char *name, struct rules_state *state);

/* From now on the walk has use for @threads threads, if it had not before. */
void dirwalk_want (struct dirwalk_turn *turn, size_t threads);

/* Walks. An error of opening names the directory. When not as many threads can be had, fewer do it.
 */
int dirwalk_run (const struct dirwalk *walk, struct err *err);

/* The processors that are online, at most @maximum. */
size_t dirwalk_processors (size_t maximum);

#endif
