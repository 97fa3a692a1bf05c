/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running other programs: argument vectors, never shell strings.
 *
 * Children are killed when this process dies (PR_SET_PDEATHSIG), have default signal actions and
 * an empty signal mask, and inherit no descriptors but the three standard ones. */
#ifndef VG_UTIL_SUBPROCESS_H
#define VG_UTIL_SUBPROCESS_H

#include "cleanup.h"
#include <stdbool.h>
#include <sys/types.h>

struct subprocess {
  const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
  const char *const *env;  /* NULL-terminated list of NAME=VALUE; NULL: this process's */
  int stdin_fd;            /* -1: /dev/null */
  int stdout_fd;           /* -1: this process's */
  int stderr_fd;           /* -1: this process's */
  bool own_group;          /* a process group of its own, that kill(2) can end with its children */
};

/* Starts the program. EXEC failures are reported here, with the program's name. */
int subprocess_start (const struct subprocess *sub, pid_t *ret_pid, struct err *err);

/* Waits for @pid. @ret_status is as waitpid(2) gives it. */
int subprocess_wait (pid_t pid, int *ret_status, struct err *err);

/* Starts and waits. An exit status other than 0 is not an error of this call. */
int subprocess_run (const struct subprocess *sub, int *ret_status, struct err *err);

/* Runs and gives back what the program wrote to stdout, at most @maximum bytes (the caller's
 * string); EFBIG when there is more. */
int subprocess_capture (const struct subprocess *sub, size_t maximum, char **ret_output,
                        int *ret_status, struct err *err);

/* "exit status 3" or "signal 9 (Killed)": the caller's string. */
char *subprocess_describe (int status);

/* Whether @program is found in PATH and may be run. */
bool subprocess_exists (const char *program);

#endif
