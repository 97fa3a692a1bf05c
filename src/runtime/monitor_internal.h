/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the monitor share.
 *
 * monitor.c: the process and its life. monitor_guest.c: what a guest is made of and taken apart.
 * monitor_events.c: what happens meanwhile. */
#ifndef VG_RUNTIME_MONITOR_INTERNAL_H
#define VG_RUNTIME_MONITOR_INTERNAL_H

#include "console.h"
#include "guestview.h"
#include "init.h"
#include "monitor.h"
#include "network.h"
#include "oci.h"
#include "targets.h"

enum { MONITOR_CLIENTS_MAX = 64 };

struct monitor {
  const struct monitor_start *start; /* borrowed */
  const struct init_spec *spec;      /* borrowed; set once the root is mounted */
  char *root_path;                   /* owned; of the state root */
  char *name;                        /* owned */
  struct oci oci;
  struct targets targets;
  struct console console;
  struct network network;
  struct guestview view;
  int launcher_fd; /* -1 once the start was acknowledged */
  int proc_fd;     /* the host's /proc: it shows pids of the host's namespace */
  int signal_fd;
  int control_fd; /* listens */
  int clients[MONITOR_CLIENTS_MAX];
  size_t client_count;
  int root_fd;     /* the merged root; closed before it is unmounted */
  pid_t init_pid;  /* 0 while there is none */
  bool init_ended; /* it was reaped, with init_status */
  int init_status;
  time_t started;
  bool stopping;
  bool signal_wanted; /* init is still to be asked */
  bool stop_asked;    /* by a client, who folds then */
  bool killed;        /* everything in our namespace was */
  bool orphaned;      /* the launcher is gone before the start was acknowledged */
  uint64_t deadline_us;
};

/* monitor_events.c */

/* The pid in the host's namespace of a process of ours; 0 when it cannot be asked for. */
pid_t monitor_host_pid (struct monitor *m, pid_t pid);

/* Writes state.json: "running" or "stopping". */
int monitor_write_state (struct monitor *m, const char *state, struct err *err);

/* Writes the pid file, and notes the time of the start. */
int monitor_write_pid (struct monitor *m, struct err *err);

/* Puts an error that nobody waits for into the guest's log. */
void monitor_tell (struct monitor *m, const struct err *err);

int monitor_listen (struct monitor *m, struct err *err);

/* Waits for one round of events and takes them. */
void monitor_take_events (struct monitor *m);

/* Reaps what has ended. True when @pid was among it. */
bool monitor_reap (struct monitor *m, pid_t pid, int *ret_status);

/* Waits for @pid, as oci.wait; ERR_INTERRUPTED when everything was killed meanwhile. */
int monitor_wait (void *data, pid_t pid, int *ret_status, struct err *err);

void monitor_kill_all (struct monitor *m);

/* Asks init to end in its way. */
void monitor_signal_init (struct monitor *m);

/* monitor_guest.c */

/* Mounts the guest's root, makes its network, and writes the bundle. */
int monitor_prepare (struct monitor *m, struct err *err);

/* Creates and starts the container. */
int monitor_start_init (struct monitor *m, struct err *err);

/* Undoes all of it, from wherever it got to; every step is tried. No process is left then. */
void monitor_undo (struct monitor *m, struct err *err);

#endif
