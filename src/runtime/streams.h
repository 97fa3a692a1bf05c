/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The standard streams of a command in a guest, joined to this process's: by pipes, or by a
 * terminal of the guest. A guest may hold what it was given for longer than the command lasts, and
 * open it anew in other modes: so it never gets this process's own descriptors. */
#ifndef VG_RUNTIME_STREAMS_H
#define VG_RUNTIME_STREAMS_H

#include "runtime/pty.h"
#include "runtime/relay.h"
#include <signal.h>

/* A function that takes output: @stream is 1 for stdout, and for stderr 2 with split, else 1. */
struct stream_output {
  void (*take) (void *data, int stream, const char *bytes, size_t len);
  void *data;
  bool split;
};

struct streams {
  struct terminal terminal;
  struct relay in;
  struct relay out;
  struct relay error;
  int master_fd;     /* owned; of the guest's terminal: for its size; or -1 */
  int output_fds[2]; /* owned; what the output function gets; or -1 */
  struct stream_output output;
};

void streams_init (struct streams *streams);
void streams_close (struct streams *streams);

/* The command's ends, the caller's; -1: none. @error is @out where both go the same way. */
struct stream_ends {
  int in;
  int out;
  int error;
};
void stream_ends_close (struct stream_ends *ends);

/* Pipes: @stdin_fd (-1: no input) is read for the command, and its output goes to this process's
 * stdout and stderr, or with @output not NULL to that function. What is in @ret_ends on errors is
 * the caller's as well. */
int streams_open_pipes (struct streams *streams, int stdin_fd, const struct stream_output *output,
                        struct stream_ends *ret_ends, struct err *err);

/* The guest's terminal @master, which is handed over: it is joined to that of this process, which
 * terminal_open looked for before, in raw mode from here on. */
int streams_open_terminal (struct streams *streams, int master, struct err *err);

/* Signals that concern a terminal: SIGWINCH, SIGTSTP and SIGCONT; blocked by the caller, and taken
 * as they come. False for others. */
void streams_add_signals (sigset_t *set);
bool streams_take_signal (struct streams *streams, int number);

/* As when a modem's line breaks: the kernel tells the guest's session by SIGHUP. */
void streams_hang_up (struct streams *streams);

/* Is our own terminal gone? */
bool streams_lost (const struct streams *streams);

/* What to wait for, and what to do then. */
enum { STREAMS_POLLS = 8 };
void streams_poll (const struct streams *streams, struct pollfd polls[STREAMS_POLLS]);
void streams_handle (struct streams *streams, const struct pollfd polls[STREAMS_POLLS]);

/* When the command has ended: no more input, and what is in the pipes now is its output, while what
 * processes that it left behind write later is not waited for. A terminal is hung up by the kernel
 * then, and so has an end. */
struct streams_rest {
  uint64_t out;
  uint64_t error;
};
void streams_end (struct streams *streams, struct streams_rest *ret_rest);
bool streams_drained (const struct streams *streams, const struct streams_rest *rest);

/* Has all output ended? */
bool streams_ended (const struct streams *streams);

/* Why writing to our own stdout or stderr failed, as an error; else 0. */
int streams_check (const struct streams *streams, struct err *err);

#endif
