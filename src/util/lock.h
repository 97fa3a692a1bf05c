/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* flock(2) locks that tell who holds them.
 *
 * A lock lasts as long as the descriptor, so a killed process never leaves one. A child process
 * must not inherit the descriptor past exec (O_CLOEXEC sees to it). Who only reads takes no lock.
 *
 * Order, from first to last, is that of enum lock_rank; of several templates, or guests, that of
 * their names. Only who waits can be in somebody's way for ever, so only a lock that is waited for
 * must keep to it: builds with --enable-sanitizers stop a process that does not (lockorder.h). */
#ifndef VG_UTIL_LOCK_H
#define VG_UTIL_LOCK_H

#include "cleanup.h"
#include <stdbool.h>

enum lock_mode { LOCK_SHARED, LOCK_EXCLUSIVE };

enum lock_rank {
  LOCK_RANK_ROOT,     /* the state root and its store */
  LOCK_RANK_COLLECT,  /* the collection of unused objects */
  LOCK_RANK_UPDATE,   /* the next generation of a template */
  LOCK_RANK_TEMPLATE, /* by name */
  LOCK_RANK_GUEST,    /* by name */
  LOCK_RANK_BASE,    /* a template again, shared, of which a locked guest is a thin one: whoever has
                        a template exclusively waits for nothing */
  LOCK_RANK_CACHE,   /* what was fetched; who has it waits for no other lock but the last */
  LOCK_RANK_CGROUPS, /* the cgroups that all guests share */
};

/* How a lock is taken. */
struct lock_how {
  enum lock_rank rank;
  enum lock_mode mode;
  bool no_wait;
  unsigned seconds; /* to wait at most; 0: for as long as it takes */
  /* Told once who holds the lock that is waited for; may be NULL. */
  void (*on_wait) (const char *what, const char *holder);
};

/* Locks the file @name in @dir_fd, making it (0600) when missing. @what names the thing for
 * messages ("guest web1"), and in the order of its rank. Waiting prints nothing itself. The
 * descriptor in @ret_fd is the caller's. Errors: ERR_LOCKED, with pid, command and since when;
 * ERR_INTERRUPTED. */
int lock_acquire (int dir_fd, const char *name, const struct lock_how *how, const char *what,
                  int *ret_fd, struct err *err);

/* Turns a held lock into @mode without waiting. Returns 1 when it is held in that mode, 0 when
 * somebody else holds it (the old mode is kept or got back). */
int lock_convert (int fd, enum lock_mode mode, struct err *err);

#endif
