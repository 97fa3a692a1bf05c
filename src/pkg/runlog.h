/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The log of one run in one guest: guests/NAME/log/<UTC time>-<tool>.log, the last 20 kept; and its
 * output cut into lines for those who watch. */
#ifndef VG_PKG_RUNLOG_H
#define VG_PKG_RUNLOG_H

#include "guest/guest.h"

enum { RUNLOG_KEEP = 20, RUNLOG_TAIL = 20, RUNLOG_LINE_MAX = 4096 };

struct runlog {
  int fd;                  /* owned; -1: not written */
  char *path;              /* owned; absolute */
  char *tail[RUNLOG_TAIL]; /* owned; the last lines, a ring */
  size_t lines;            /* so far */
  int write_errno;         /* the first failure to write, or 0 */
  struct strbuf line;      /* owned; begun and not ended */
  void (*on_line) (void *data, const char *line);
  void *data;
};

/* Opens a new log file of @guest and removes the oldest ones. @on_line gets each line, without its
 * end, control characters made spaces; a line above RUNLOG_LINE_MAX is cut. */
int runlog_open (struct vroot *root, struct guest *guest, const char *tool,
                 void (*on_line) (void *data, const char *line), void *data, struct runlog *ret_log,
                 struct err *err);

/* A log that has watchers only. */
void runlog_start (void (*on_line) (void *data, const char *line), void *data,
                   struct runlog *ret_log);

/* Adds output; fits container.output with the log as data. */
void runlog_output (void *log, const char *bytes, size_t len);

/* Adds a line of our own, "vguest: …". */
void runlog_note (struct runlog *log, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

/* Ends an open last line. */
void runlog_end (struct runlog *log);

/* The @i-th of the last lines, oldest first, or NULL behind the end. Borrowed. */
const char *runlog_tail (const struct runlog *log, size_t i);

void runlog_release (struct runlog *log);
#define autorunlog __attribute__ ((cleanup (runlog_release)))

#endif
