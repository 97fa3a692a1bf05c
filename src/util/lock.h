/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* flock(2) locks that tell who holds them.
 *
 * A lock lasts as long as the descriptor, so a killed process never leaves one. Order, from first
 * to last: root lock, templates by name, guests by name, staging directories. A child process
 * must not inherit the descriptor past exec (O_CLOEXEC sees to it). */
#ifndef VG_UTIL_LOCK_H
#define VG_UTIL_LOCK_H

#include "cleanup.h"
#include <stdbool.h>

enum lock_mode { LOCK_SHARED, LOCK_EXCLUSIVE };

/* Locks the file @name in @dir_fd, making it (0600) when missing. @what names the thing for
 * messages ("guest web1"). Waiting prints nothing: the caller gives @on_wait, which may be NULL,
 * and is told once who holds the lock. Returns the descriptor in @ret_fd. */
int lock_acquire (int dir_fd, const char *name, enum lock_mode mode, bool no_wait, const char *what,
                  void (*on_wait) (const char *what, const char *holder), int *ret_fd,
                  struct err *err);

/* Turns a held lock into @mode without waiting. Returns 1 when it is held in that mode, 0 when
 * somebody else holds it (the old mode is kept or got back). */
int lock_convert (int fd, enum lock_mode mode, struct err *err);

#endif
