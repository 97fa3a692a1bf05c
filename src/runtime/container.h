/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running commands in a container to their end, so that nothing outlives vguest.
 *
 * The calling process starts a supervisor in new pid and mount namespaces, of which it is process 1
 * and the reaper. The supervisor mounts a tmpfs for bundle and runtime state, then the guest's root
 * by the caller's function, and calls the runtime: run, then exec for each command, whose parent
 * it is, and delete. So the exit status is the command's own, and a failure of the runtime
 * is never taken for one. The container's first process is an init of the host that only waits and
 * reaps: signals that a maintainer script sends to process 1 reach nobody. On a host without one
 * each command is the first process of a container of its own. At the end the supervisor unmounts
 * and reports over a pipe.
 *
 * When the caller is killed the supervisor sees its end of the pipe close, kills all processes of
 * its namespace, removes the cgroups and ends; it holds copies of the caller's locks, so the next
 * command waits until that is done. When the supervisor is killed, the kernel kills the processes
 * and drops the mounts with the namespaces; only empty cgroups can remain, and the next run under
 * the same id removes them.
 *
 * SIGINT, SIGTERM and SIGHUP are passed on to the command (the caller has installed
 * util/interrupt.h's handlers), which has 10 s to end; a second signal within a second kills it at
 * once. A terminal is hung up by them as well. */
#ifndef VG_RUNTIME_CONTAINER_H
#define VG_RUNTIME_CONTAINER_H

#include "runtime/bundle.h"

enum { CONTAINER_GRACE_SECONDS = 10 };

/* Commands whose statuses are kept. */
enum { CONTAINER_STATUSES = 16, CONTAINER_TRIES = 3 };

enum container_verdict {
  CONTAINER_FAILED,
  CONTAINER_GOOD,  /* it succeeded: the next one follows */
  CONTAINER_AGAIN, /* it succeeded, and is run once more, up to CONTAINER_TRIES times in all */
};

struct container {
  const char *runtime;  /* path of the runtime's program */
  const char *mount_on; /* an existing directory; all mounts happen on it in the own namespace */
  const char *id;       /* no other container of this host has it */
  const char *hostname;
  const char *init; /* an init program of the host, or NULL */
  bool read_only;
  bool guest_files; /* bind resolv.conf and policy-rc.d, and make missing mount points */

  const struct bundle_command *commands; /* run one after another until one fails */
  size_t command_count;
  /* Has the command number @command failed that ended with @status, which is not 0? Called in the
   * supervisor, where nothing that it changes stays. NULL: yes. */
  enum container_verdict (*judge) (void *data, size_t command, int status);
  void *judge_data;

  /* Mounts the root on @target; runs in the supervisor, whose working directory is @dir_fd, as
   * overlay_enter_namespace leaves it. */
  int dir_fd;
  int (*mount) (void *data, const char *target, struct err *err);
  void *mount_data;

  const struct bundle_bind
      *binds; /* files of the host, more than those of guest_files; read-only */
  size_t bind_count;

  bool login;    /* args of the commands is NULL: the shell of their user (else root), as a login
                    shell; cwd NULL: its home */
  bool joined;   /* the commands get pipes that are joined to this process's streams */
  bool terminal; /* the only command gets a terminal that is joined to this process's */
  int stdin_fd;  /* -1: /dev/null; without a terminal */
  /* Gets what the command number @command writes: @stream is 2 for the stderr of a command that is
   * split, else 1. NULL: they write to this process's stdout and stderr. Neither with joined nor
   * with a terminal. */
  void (*output) (void *data, size_t command, int stream, const char *bytes, size_t len);
  void *output_data;
};

struct container_result {
  int status;  /* of the last command that ran: its exit status, or 128 + signal */
  bool failed; /* the last one that ran did */
  int statuses[CONTAINER_STATUSES]; /* of each of the first ones that ran */
  int signal;                       /* the signal that ended it, or 0 */
  size_t commands;                  /* how many ran */
  uint64_t mount_us;                /* where the time went, in microseconds */
  uint64_t create_us;               /* to make the container run */
  uint64_t start_us;                /* and the commands in it */
  uint64_t run_us;
  uint64_t delete_us;
};

/* Runs the commands. A command that cannot be found gives status 127, one that is not executable
 * 126, both with a line on its stderr. Negative, with @err set, when the machinery failed: nothing
 * can be said of the commands then. After a signal the result is given as well; the caller asks
 * interrupt_check. */
int container_run (const struct container *container, struct container_result *ret_result,
                   struct err *err);

#endif
