/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The log of what a guest's first process writes: guests/NAME/log/console.log.
 *
 * Each line begins with its time, "2026-11-23T22:41:24+0000 ", in the host's time zone: most guests
 * that write here have no time of their own in it. "\r"s before a newline are left out; else the
 * bytes are the guest's, and who shows them on a terminal has to filter them.
 *
 * A part has CONSOLELOG_PART_MAX bytes at most; when it is full it becomes console.log.1, what was
 * .1 becomes .2 and so on, and the oldest goes: CONSOLELOG_PARTS in all. The parts in order, oldest
 * first, are one text: a part may end in the middle of a line.
 *
 * Nothing here makes a guest wait or fail: what cannot be written (a full disk) is counted, and
 * told in the log as soon as it can be. Nothing is synced. */
#ifndef VG_RUNTIME_CONSOLELOG_H
#define VG_RUNTIME_CONSOLELOG_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { CONSOLELOG_PART_MAX = 1 << 20, CONSOLELOG_PARTS = 4 };

#define CONSOLELOG_NAME "console.log"

struct consolelog {
  int dir_fd;      /* owned: guests/NAME/log; -1: everything is thrown away */
  int fd;          /* owned; -1 when it could not be opened: tried again with the next write */
  uint64_t size;   /* of the newest part */
  bool in_line;    /* what was written last was no newline */
  bool after_cr;   /* a "\r" was held back */
  uint64_t lost;   /* bytes that could not be written and were not told of yet */
  int lost_errno;  /* why */
  time_t stamp_at; /* the second that stamp is of */
  char stamp[40];
};

/* Opens the log in the directory @dir_fd, which is handed over; the newest part is appended to. */
void consolelog_open (struct consolelog *log, int dir_fd);

void consolelog_write (struct consolelog *log, const char *bytes, size_t len);

/* A line of vguest's own, "--- TEXT ---": that the guest was started, and the like. */
void consolelog_note (struct consolelog *log, const char *text);

/* Takes a zeroed one as well, with its descriptors -1. */
void consolelog_close (struct consolelog *log);

/* The name of part @part, 0 being the newest: the caller's string. */
char *consolelog_part_name (unsigned part);

#endif
