/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that run: start, stop, and what is known about them.
 *
 * A running guest has a monitor: process 1 of a pid and mount namespace of its own, which mounted
 * the guest's root there, runs the OCI runtime, is the parent of the container's first process,
 * keeps its output (guests/NAME/log/console.log), and cleans up at the end. When the monitor is
 * killed the kernel kills everything in its namespaces and drops the mounts with them.
 *
 *   guests/NAME/running   the monitor holds an OFD lock on it (fcntl(2)): that, and nothing else,
 *                         says that the guest runs; its time is that of the last start
 *   guests/NAME/ran       there since a start: private may hold forms of an overlay. Whoever opens
 *                         the stopped guest GUEST_LOCKED folds and removes it
 *   RUN/NAME/control      a SOCK_SEQPACKET socket of the monitor
 *   RUN/NAME/state.json   written by the monitor: see struct live_info; true only as long as the
 *                         lock is held
 *   RUN/NAME/pid          the monitor's, for systemd
 *   guests/NAME/network.json  what the network needs to be released: see network.h
 *
 * Cgroups: /vguest/ID is the container's, /vguest/ID.monitor the monitor's and its sessions'; when
 * both are empty all processes are gone, and the mounts with them. */
#ifndef VG_RUNTIME_LIVE_H
#define VG_RUNTIME_LIVE_H

#include "guest/guest.h"
#include "guest/settings.h"
#include "unify/unify.h"

enum live_state { LIVE_STOPPED, LIVE_STARTING, LIVE_RUNNING, LIVE_STOPPING };

struct live_info {
  enum live_state state;
  pid_t monitor_pid; /* in the caller's pid namespace; 0 when unknown */
  pid_t init_pid;
  int64_t started;        /* seconds since the epoch */
  enum init_style init;   /* what was detected */
  char *id;               /* owned; of the container, and its cgroup */
  char *runtime;          /* owned; path */
  struct names addresses; /* owned; "10.0.0.2/24" */
};

void live_info_release (struct live_info *info);
#define autoliveinfo __attribute__ ((cleanup (live_info_release)))

/* What is known of the guest; takes no lock, waits for nobody, costs one fcntl for a stopped one.
 */
int live_info_read (struct vroot *root, struct guest *guest, struct live_info *ret_info,
                    struct err *err);

struct live_start_options {
  int console_fd; /* -1, or one end of a SOCK_SEQPACKET pair: it is attached to the console before
                     init starts (console_add_client), and handed over even on failure */
  bool trial;     /* run on the layer of an open transaction (txn/upper) instead of private */
};

/* Starts @guest, which is open GUEST_LOCKED and stopped, and returns when its init was started.
 * What a crash left of an earlier run is cleaned up first. */
int live_start (struct vroot *root, struct guest *guest, const struct live_start_options *options,
                struct err *err);

struct live_stop_options {
  int64_t timeout; /* seconds until everything is killed; -1: the guest's setting; 0: at once */
  bool discard;    /* of a guest on a trial's layer that nobody accepted: throw the layer away; else
                      stopping accepts it, as the guest was used on it */
};

/* Stops @guest, open GUEST_LOCKED, in the way of its init, and returns when all its processes are
 * gone, its mounts and network released, and its private layer is folded. Files that could not be
 * shared are counted in @report, which may be NULL. 0 as well when it was not running. */
int live_stop (struct vroot *root, struct guest *guest, const struct live_stop_options *options,
               struct unify_report *report, struct err *err);

/* Sends @signal to the first process of the running guest. ESRCH when it is stopped. */
int live_kill (struct vroot *root, struct guest *guest, int signal, struct err *err);

/* Removes what a killed monitor left of a stopped guest: processes, cgroups, network, RUN/NAME. */
int live_recover (struct vroot *root, struct guest *guest, struct err *err);

/* The same for those of @names that are there, can be opened and do not run: before they are
 * removed or replaced. Takes their locks. */
int live_recover_all (struct vroot *root, const struct names *names, struct err *err);

/* Figures of the running guest's cgroup, -1 where the host does not have them. */
struct live_usage {
  int64_t processes;
  int64_t memory_bytes;
  int64_t memory_limit_bytes;
  int64_t cpu_us; /* since its start */
};
int live_usage_read (const struct live_info *info, struct live_usage *ret_usage, struct err *err);

#endif
