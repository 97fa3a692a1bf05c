/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The console of a running guest: what its first process writes goes to the log, to those who are
 * attached, and is kept for those who come; what they type goes to the guest when its console is a
 * terminal.
 *
 * The monitor's half. It waits for one descriptor and calls one function:
 *
 *   console_open        before init is created; log_fd is guests/NAME/log
 *   console_listen      makes the socket RUN/NAME/console (0600)
 *   console_add_client  for `start --console`: an attached socket from the first byte on
 *   console_set_output  each time init was created: the master of its terminal, or a pipe
 *   poll console.fd for POLLIN, then console_handle: never blocks
 *   console_note        a line of vguest's own in the log, and for those attached
 *   console_drain       when init has ended: takes what is still to be read
 *   console_close
 *
 * Clients are SOCK_SEQPACKET sockets; the first byte of a packet is its type:
 *
 *   to the client    'h' 'T' or 'h' '-'  the console is a terminal, or not: for each new output
 *                    'o' bytes           output; at first what is kept of the past
 *   from the client  'i' bytes           input
 *                    'w' struct winsize  the size of its terminal
 *
 * A client that does not read is dropped when its socket is full, and never waited for. When the
 * guest does not read its input, clients wait, not the monitor. */
#ifndef VG_RUNTIME_CONSOLE_H
#define VG_RUNTIME_CONSOLE_H

#include "runtime/consolelog.h"

enum {
  CONSOLE_CLIENTS_MAX = 32,
  CONSOLE_REPLAY_MAX = 16 << 10, /* bytes of the past that a new client gets */
  CONSOLE_PACKET_MAX = 4096,
  CONSOLE_SOCKET_MAX = 1 << 20, /* bytes that a client may lag behind, about */
};

#define CONSOLE_SOCKET "console"

struct console {
  int fd;          /* owned: poll it for POLLIN */
  int listen_fd;   /* owned; or -1 */
  int output_fd;   /* owned; what the guest writes, or -1 */
  int keeper_fd;   /* owned; the terminal's other end, so that it is never without one; or -1 */
  bool terminal;   /* output_fd takes input */
  bool input_full; /* the guest does not read: input is kept */
  char input[CONSOLE_PACKET_MAX];
  size_t input_len;
  int clients[CONSOLE_CLIENTS_MAX]; /* owned */
  size_t client_count;
  char *replay; /* owned; a ring */
  size_t replay_start;
  size_t replay_len;
  struct consolelog log;
};

/* @log_fd is handed over; -1: no log. */
int console_open (struct console *console, int log_fd, struct err *err);

/* Makes the listening socket @name in the directory @dir_fd in place of one that is there. */
int console_listen (struct console *console, int dir_fd, const char *name, struct err *err);

/* @fd, one end of a SOCK_SEQPACKET pair, is handed over. */
void console_add_client (struct console *console, int fd);

/* @fd is handed over, in place of the one before: the master of a pty when @terminal, else the read
 * end of a pipe. */
int console_set_output (struct console *console, int fd, bool terminal, struct err *err);

/* Takes what there is to take, a bounded amount; call it when console->fd is readable. */
void console_handle (struct console *console);

void console_note (struct console *console, const char *text);

/* Reads what is left of the guest's output, up to a bound, and gives it up. */
void console_drain (struct console *console);

/* Takes one that was never opened but for its descriptors, which are -1 then. */
void console_close (struct console *console);

/* The client's half: joins the terminal of this process to the console of the running guest whose
 * run directory is @run_fd, or by @socket_fd, when it is not -1, to that attached socket (which is
 * handed over). Returns when the guest ended its console, or the user detached by typing Ctrl-]
 * three times within a second; on a console that is no terminal by Ctrl-C as well. What the user
 * has to know is told on stderr unless @quiet. */
int console_attach (int run_fd, int socket_fd, const char *name, bool quiet, bool *ret_detached,
                    struct err *err);

#endif
