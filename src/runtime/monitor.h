/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor of a running guest; see live.h. Private to this room.
 *
 * Its control socket takes one request in each packet, as text, and answers "ok" or "error TEXT":
 *
 *   stop SECONDS   stop in the way of the guest's init; kill everything after SECONDS. The
 *                  connection stays open, and is closed when the monitor ends
 *   kill NUMBER    the signal to the container's first process */
#ifndef VG_RUNTIME_MONITOR_H
#define VG_RUNTIME_MONITOR_H

#include "runtime/live.h"

enum { MONITOR_MESSAGE_MAX = 4096 };

#define MONITOR_SOCKET "control"
#define MONITOR_STATE "state.json"
#define MONITOR_PID "pid" /* its pid as the host sees it: a PIDFile= for systemd */

/* What the launcher gives to the monitor; all is borrowed. */
struct monitor_start {
  struct vroot *root;
  struct guest *guest;
  const struct settings *settings;
  bool trial; /* the root's upper is txn/upper, over private and tree */
  const char *id;
  const char *runtime;   /* path */
  const char *host_init; /* path of catatonit, or NULL */
  const char *mount_on;  /* an existing directory for the tmpfs */
  const char *run_path;  /* RUN/NAME */
  int run_fd;            /* the same */
  int running_fd;        /* guests/NAME/running, with the lock */
  int cgroup_lock_fd;
  int log_fd;     /* guests/NAME/log */
  int console_fd; /* an attached socket, or -1: see console_add_client */
  /* A stream socket: at the end of the start, or after its failure was undone, the launcher gets an
   * int (0, or an error's code) and the error's text. When it is closed before, the launcher was
   * killed, and all is undone. */
  int launcher_fd;
  bool in_cgroup; /* /vguest/ID.monitor is its cgroup already */
};

/* The monitor's life, as process 1 of a new pid namespace. */
void monitor_main (const struct monitor_start *start) __attribute__ ((noreturn));

#endif
