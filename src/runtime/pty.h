/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Terminals: the pty of a guest, and the terminal of the caller that is joined to it. */
#ifndef VG_RUNTIME_PTY_H
#define VG_RUNTIME_PTY_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

/* A listening socket at @path, for a runtime's --console-socket. */
int pty_listen (const char *path, int *ret_fd, struct err *err);

/* Accepts the connection of a runtime that has ended well, and takes the terminal's master that it
 * sent (SCM_RIGHTS). */
int pty_receive (int listen_fd, int *ret_master, struct err *err);

/* Sends the descriptor @fd with @len bytes of @data in one packet; 0, or -1 with errno. */
int pty_send_fd (int socket_fd, int fd, const void *data, size_t len);

/* Receives one packet, with a descriptor in *@ret_fd when one came, else -1. Its length, or -1 with
 * errno. */
ssize_t pty_receive_fd (int socket_fd, int *ret_fd, void *data, size_t len);

enum terminal_mode {
  TERMINAL_RAW,    /* all keys are the guest's */
  TERMINAL_SILENT, /* keys come at once and unseen; Ctrl-C and output are as usual */
};

/* The caller's terminal. */
struct terminal {
  int in_fd;   /* borrowed; a terminal, or -1 */
  int size_fd; /* borrowed; the terminal whose size counts, or -1 */
  enum terminal_mode mode;
  bool changed;
  struct termios saved;
};

/* Looks which of the standard input and output is a terminal. */
void terminal_open (struct terminal *terminal);

/* Switches the terminal to @mode, or does nothing when there is none. */
int terminal_enter (struct terminal *terminal, enum terminal_mode mode, struct err *err);

/* Puts everything back as it was; also from the background. */
void terminal_restore (struct terminal *terminal);
#define autoterminal __attribute__ ((cleanup (terminal_restore)))

/* Ctrl-Z by a signal: puts the terminal back, stops this process, and goes on as before once it is
 * continued. */
void terminal_suspend (struct terminal *terminal);

/* The size; false when there is no terminal. */
bool terminal_size (const struct terminal *terminal, struct winsize *ret_size);

#endif
