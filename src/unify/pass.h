/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pass over a tree: what its threads share. */
#ifndef VG_UNIFY_PASS_H
#define VG_UNIFY_PASS_H

#include "unify/unify.h"
#include "util/dirread.h"
#include "util/dirwalk.h"
#include "util/strbuf.h"
#include <pthread.h>

enum { PASS_STRIPES = 64 };

struct pass {
  struct store *store;         /* borrowed */
  const struct policy *policy; /* borrowed */
  int tree_fd;                 /* borrowed */
  int base_fd;                 /* borrowed; -1: the tree is whole */
  int temp_fd;                 /* borrowed */
  bool dry_run;
  struct share share;    /* owned */
  struct u64set inodes;  /* owned: of the tree, with what of its base is seen; see pass_load */
  struct u64set of_base; /* owned: those of the base alone */
  struct hasher *hashers[DIRWALK_THREADS_MAX]; /* owned, one a thread; NULL until it is used */
  struct pass_tick *ticks;                     /* owned; what each hasher tells */
  pthread_mutex_t stripes[PASS_STRIPES];       /* hard-link groups, by inode number */
  bool loaded;
  bool whole; /* all files of the tree were met, and its directories have their times again */

  pthread_mutex_t mutex;       /* for what follows; innermost */
  struct unify_report *report; /* borrowed */
  struct u64set groups;        /* owned: old inode of a hard-link group: temp_fd has a link */
  struct u64set met;           /* owned: inodes of groups that were looked at */
  uint64_t reading;            /* bytes of files that are being read */
  struct strbuf group_dirs; /* owned: paths, each with a NUL, of directories that have names which
                               follow their group at the end; failed when there are many */
  bool left;                /* an error left a file as it was */
};

/* @report is added to. */
void pass_start (struct pass *pass, struct store *store, const struct policy *policy, int tree_fd,
                 int base_fd, int temp_fd, struct unify_report *report);

/* Puts right what the pass leaves, also when it failed with @ret, which is passed on. */
int pass_end (struct pass *pass, int ret, struct err *err);

/* Before the first name is replaced: reads the tree's inodes, for the choice of slots, and notes
 * the times of the directories that will change. A second call does nothing. Not for several
 * threads. */
int pass_load (struct pass *pass, struct err *err);

/* Unifies the file @entry of the directory @dir_fd, which is no directory and was not known to the
 * store. An error is counted, with the path @dir_path/NAME; only ERR_INTERRUPTED comes back. For
 * several threads, numbered by @thread, after pass_load. */
int pass_file (struct pass *pass, size_t thread, int dir_fd, const char *dir_path,
               const struct dirread_entry *entry, unsigned verdict, struct err *err);

#endif
