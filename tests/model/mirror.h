/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same operation in a guest and in its twin, a plain directory.
 *
 * What an operation does follows from its random numbers and from what the file system answers, so
 * two runs with one seed make the same calls as long as all answers are the same. The program is
 * linked so that each call that changes something comes by here (-Wl,--wrap): the answers in the
 * guest are kept, and compared with those in the twin. Where the manual (vguest-view(7)) says that
 * a guest answers otherwise, the twin is made to do the same:
 *
 * - the first change of one name of a hard-link group of the shared layer separates that name;
 * - EXDEV of a rename or link, ENOSPC of a setxattr, and ENODATA when an ACL is removed that is not
 *   there are given in the twin as well;
 * - a file of the shared layer whose metadata were changed gets a new mtime when it is opened for
 *   writing;
 * - a directory gets a new mtime when a rename out of it fails with ENOTEMPTY.
 *
 * Anything else that differs is a finding. */
#ifndef VG_TESTS_MIRROR_H
#define VG_TESTS_MIRROR_H

#include "model.h"

struct mirror_counts {
  unsigned long calls, failed, separated, refused;
};

/* One operation of @seed in both. Returns the number of answers that differ, which are printed with
 * @number. */
unsigned mirror_operate (uint64_t seed, unsigned number, int guest_fd, int twin_fd);
struct mirror_counts mirror_counts (void);

/* Gives a name of the twin an inode of its own. */
int mirror_separate (int dir_fd, const char *name);

/* Files and directories of both, in step: what has a time since @since on both sides gets one and
 * the same on both. What is only on one side is left alone. */
int mirror_settle (int guest_fd, int twin_fd, time_t since, struct err *err);

/* Random files and directories get or lose the immutable and append flags, in both alike. Returns
 * the number of differences. */
unsigned mirror_flags (uint64_t seed, int guest_fd, int twin_fd);

/* Compares contents, metadata, hard-link partners and these flags; with @sockets, what sockets
 * there are, which a clone has none of. Returns the number of differences, which are printed. */
size_t mirror_compare (int guest_fd, int twin_fd, bool sockets, struct err *err);

#endif
