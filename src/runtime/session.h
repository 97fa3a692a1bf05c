/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands in a running guest.
 *
 * The calling process starts a session process in the namespaces of the guest's monitor; it has the
 * runtime start the command detached (exec), is its parent (PR_SET_CHILD_SUBREAPER), passes signals
 * and waits for it. When the caller is killed, the session process sees its pipe close and kills
 * the command. */
#ifndef VG_RUNTIME_SESSION_H
#define VG_RUNTIME_SESSION_H

#include "runtime/bundle.h"
#include "runtime/live.h"

struct session_options {
  const struct bundle_command *command; /* args, env, cwd; uid and gid when user is NULL */
  const char *user; /* USER[:GROUP] as in guestuser.h; HOME, USER, LOGNAME and SHELL are set where
                       command->env does not have them; or NULL */
  bool login;       /* args is NULL: the shell of the user (NULL: root), as a login shell; cwd NULL:
                       its home directory */
  bool terminal;    /* a pty of the guest, joined to this process's terminal on stdin and stdout */
  int stdin_fd;     /* without a terminal; -1: /dev/null */
  /* Without a terminal: gets what the command writes; @stream is 2 for the stderr of a command that
   * is split, else 1. NULL: this process's stdout and stderr. */
  void (*output) (void *data, int stream, const char *bytes, size_t len);
  void *output_data;
};

/* While a command runs, SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2 and real-time
 * signals go to it: those that a key of the terminal made to its process group. With a terminal
 * SIGHUP and SIGTERM hang that up. SIGINT, SIGTERM and SIGHUP are noted by interrupt_record: a
 * caller with more to do asks interrupt_pending.
 *
 * The guest never gets this process's own descriptors, but pipes. What processes that the command
 * left behind write after its end is not waited for.
 *
 * Runs the command in @guest, whose running state is @info. @ret_status: its exit status, 128 +
 * signal, 127 when there is no such command, 126 when it cannot be executed (with a line on its
 * stderr). Negative when the machinery failed, or the guest stopped before it was started. */
int session_run (struct vroot *root, struct guest *guest, const struct live_info *info,
                 const struct session_options *options, int *ret_status, struct err *err);

#endif
