/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGINT, SIGTERM and SIGHUP, and a time limit, as an error: a command that has something to undo
 * installs the handlers once, and asks between steps that take long. The signals do not restart
 * system calls, so that one that blocks returns EINTR and its caller can ask. */
#ifndef VG_UTIL_INTERRUPT_H
#define VG_UTIL_INTERRUPT_H

#include "err.h"
#include <stdbool.h>

enum { INTERRUPT_STATUS = 130 }; /* the exit status of a command that a signal ended */

/* Installs the handlers. A signal that is ignored (nohup) stays ignored. A second one within a
 * second ends the process at once, as a crash would; the next command recovers. */
void interrupt_install (void);

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
