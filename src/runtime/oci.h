/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An OCI runtime's command line: create, start, delete, exec, with its errors read from its log.
 *
 * Bundle, runtime state and log are in one directory, a tmpfs of the mount namespace of whoever
 * looks after the container, so that they go with it:
 *
 *   rootfs/      the guest's root is mounted here
 *   config.json  the bundle
 *   state/       the runtime's own (--root)
 *   log, pid     of the call that runs */
#ifndef VG_RUNTIME_OCI_H
#define VG_RUNTIME_OCI_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <sys/types.h>

struct oci {
  const char *runtime; /* path of the runtime's program */
  const char *id;
  /* Waits for the runtime, as waitpid does; NULL: nothing else is to be waited for. */
  int (*wait) (void *data, pid_t pid, int *ret_status, struct err *err);
  void *wait_data;

  /* Set by oci_open. */
  char *path;       /* owned; the directory */
  int dir_fd;       /* owned */
  int null_fd;      /* owned */
  char *root_path;  /* owned; PATH/rootfs */
  char *state_path; /* owned */
  char *log_name;   /* owned */
  char *log_path;   /* owned */
};

/* Mounts the tmpfs on @path and makes what is in it; then oci_open. */
int oci_mount (struct oci *oci, const char *path, struct err *err);

/* Opens the directory at @path. Several callers at once need a different @log_name each; NULL:
 * "log". */
int oci_open (struct oci *oci, const char *path, const char *log_name, struct err *err);

void oci_release (struct oci *oci);
#define autooci __attribute__ ((cleanup (oci_release)))

/* Descriptors that the container's process gets. */
struct oci_streams {
  int in;  /* -1: /dev/null */
  int out; /* -1: this process's */
  int error;
};

/* Runs the runtime with @args (verb, options, id, …; at most 40; ends with NULL). @streams: NULL
 * when no process of the container gets them. EIO with the last error in its log. */
int oci_call (struct oci *oci, const char *const *args, const struct oci_streams *streams,
              struct err *err);

/* create: the container's first process is made, and a child of this process then when it is the
 * reaper of its namespace. @console_socket: NULL, or the path of a socket that gets the terminal.
 */
int oci_create (struct oci *oci, const struct oci_streams *streams, const char *console_socket,
                pid_t *ret_pid, struct err *err);
int oci_start (struct oci *oci, struct err *err);

/* Both in one call, which saves a process: @streams are the first process's, @console_socket is as
 * above. It may have ended when this returns, and is still to be waited for then. */
int oci_run (struct oci *oci, const struct oci_streams *streams, const char *console_socket,
             pid_t *ret_pid, struct err *err);

int oci_delete (struct oci *oci, struct err *err);

/* The number in the runtime's pid file @name. */
int oci_read_pid (struct oci *oci, const char *name, pid_t *ret_pid, struct err *err);

#endif
