/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal of a fold: txn/journal, a text file, one step a line. Names and paths are written
 * with %XX for "%", control characters, space and bytes from 0x7f up.
 *
 *   vguest-fold 1 commit|inplace       first line
 *   D PATH                             the directory of the steps that follow ("." is the root)
 *   P LAYER N INO NAME                 put: txn/fold/N, inode INO, becomes NAME
 *   R LAYER NAME                       remove NAME, whatever it is
 *   M LAYER MODE UID GID SEC NSEC      give the directory this metadata, and the attributes that
 *                                      the upper's directory has
 *   X                                  remove the overlay's attributes from the upper's directory
 *   U NAME                             unlink NAME from the upper
 *   E                                  last line: the journal is whole
 *
 * LAYER is t (tree), p (private) or u (the upper itself, in place). */
#ifndef VG_TREE_JOURNAL_H
#define VG_TREE_JOURNAL_H

#include "util/cleanup.h"
#include "util/strbuf.h"
#include <stdint.h>
#include <sys/stat.h>

enum { JOURNAL_VERSION = 1 };
#define JOURNAL_NAME "journal"
#define JOURNAL_APPLIED "journal.applied" /* carried out; kept until what follows is done too */

struct journal_step {
  char op;    /* D P R M X U */
  char layer; /* t p u, or 0 */
  uint64_t number;
  uint64_t ino;
  mode_t mode;
  uid_t uid;
  gid_t gid;
  struct timespec mtime;
  char *name; /* owned; NAME, or PATH of D */
};

void journal_step_release (struct journal_step *step);
#define autojournalstep __attribute__ ((cleanup (journal_step_release)))

/* A journal that is being written: steps are collected in memory, in two lists: those of the second
 * list follow all of the first. */
struct journal_writer {
  struct strbuf lists[2]; /* owned */
  char *dirs[2];          /* owned; the directory that the list's last D named */
};

void journal_writer_start (struct journal_writer *writer);
void journal_writer_release (struct journal_writer *writer);
#define autojournalwriter __attribute__ ((cleanup (journal_writer_release)))

/* Adds a step in the directory @dir ("" is the root) to the list @list, 0 or 1. */
void journal_add (struct journal_writer *writer, int list, const char *dir,
                  const struct journal_step *step);

/* No step at all? */
bool journal_empty (const struct journal_writer *writer);

/* Writes the journal as @name: temporary name, one syncfs, which makes all that the steps refer to
 * durable as well, rename. */
int journal_write (const struct journal_writer *writer, int txn_fd, const char *name, bool commit,
                   struct err *err);

/* The same, for a journal of which no step refers to anything that was just made: only the file is
 * made durable, not what others wrote to the file system. */
int journal_write_alone (const struct journal_writer *writer, int txn_fd, const char *name,
                         bool commit, struct err *err);

/* Reads the journal @name in @txn_fd and calls @step for each step. Returns what @step returned
 * when it was negative. @ret_commit may be NULL, and is set before the first step. */
int journal_read (int txn_fd, const char *name, bool *ret_commit,
                  int (*step) (void *data, const struct journal_step *step, struct err *err),
                  void *data, struct err *err);

/* One line, without its newline, into a step. ERR_USAGE when it is malformed. */
int journal_parse_line (const char *line, struct journal_step *ret_step, struct err *err);

#endif
