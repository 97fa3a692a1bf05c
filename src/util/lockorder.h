/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds with --enable-sanitizers (VG_LOCK_ORDER) stop the process that waits for a lock which
 * stands before one that it holds, in the order of lock.h. */
#ifndef VG_UTIL_LOCKORDER_H
#define VG_UTIL_LOCKORDER_H

#include "lock.h"

#ifdef VG_LOCK_ORDER

/* Before the lock is waited for by the descriptor @fd: aborts, with both names, when that is out of
 * order. */
void lockorder_check (int fd, enum lock_rank rank, const char *what, enum lock_mode mode);

/* The lock is held now by the descriptor @fd. When that is closed is found out, not told. */
void lockorder_note (int fd, enum lock_rank rank, const char *what, enum lock_mode mode);

#else

static inline void lockorder_check (int fd, enum lock_rank rank, const char *what,
                                    enum lock_mode mode)
{
  (void) fd;
  (void) rank;
  (void) what;
  (void) mode;
}

static inline void lockorder_note (int fd, enum lock_rank rank, const char *what,
                                   enum lock_mode mode)
{
  (void) fd;
  (void) rank;
  (void) what;
  (void) mode;
}

#endif
#endif
