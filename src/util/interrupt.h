/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGINT, SIGTERM and SIGHUP, and a time limit, as an error: a command that has something to undo
 * installs the handlers once, and asks between steps that take long. The signals do not restart
 * system calls, so that one that blocks returns EINTR and its caller can ask.
 *
 * A second SIGINT or SIGTERM within a second of the one before ends the process at once, with
 * status 130 and nothing undone: that is left to the next command. SIGHUP is never that second one,
 * as a terminal that goes away sends several, and service managers send it behind a SIGTERM. */
#ifndef VG_UTIL_INTERRUPT_H
#define VG_UTIL_INTERRUPT_H

#include "err.h"
#include <stdbool.h>

/* Installs the handlers. A signal that is ignored (nohup) stays ignored. */
void interrupt_install (void);

/* Called, in the signal handler, before the process ends at once: to put a terminal back. NULL:
 * none any more. */
void interrupt_on_exit (void (*restore) (void));

/* Did one of the signals arrive since the start? Async-signal-safe and cheap. */
bool interrupt_pending (void);

/* The last of them, and how many there were; 0 when none arrived. */
int interrupt_signal (void);
unsigned interrupt_count (void);

/* Notes a signal that was taken in another way than by the handlers (signalfd). */
void interrupt_record (int number);

/* For undoing after a signal, where functions are called that ask: interrupt_set_aside forgets what
 * arrived and returns it; interrupt_put_back remembers it again, unless a new one arrived. */
int interrupt_set_aside (void);
void interrupt_put_back (int signal);

/* In @seconds the process is interrupted by SIGALRM, as by the other signals; 0: no more. For a
 * process that does one thing. */
void interrupt_after (unsigned seconds);
bool interrupt_has_limit (void);

/* ERR_INTERRUPTED, naming the signal, when one arrived, ETIMEDOUT when that was interrupt_after's;
 * else 0. */
int interrupt_check (struct err *err);

#endif
