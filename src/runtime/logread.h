/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a console log (consolelog.h) while it is written and its parts move. */
#ifndef VG_RUNTIME_LOGREAD_H
#define VG_RUNTIME_LOGREAD_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stdint.h>

/* Takes a piece of the log, which ends anywhere. */
typedef int logread_fn (void *data, const char *bytes, size_t len, struct err *err);

struct logread {
  int dir_fd; /* borrowed: guests/NAME/log */
  int fd;     /* owned; the part that was read last, up to its end; -1 when there was none */
  logread_fn *output;
  void *data;
};

/* Gives the last @lines lines of all parts, or everything when it is negative. Then logread_more
 * can go on from there. */
int logread_start (struct logread *reader, int dir_fd, int64_t lines, logread_fn *output,
                   void *data, struct err *err);

/* Gives what has come since. Returns 1 when there was something, 0 when not, or negative. */
int logread_more (struct logread *reader, struct err *err);

void logread_close (struct logread *reader);
#define autologread __attribute__ ((cleanup (logread_close)))

#endif
