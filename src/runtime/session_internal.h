/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the caller of a session and its process in the guest's namespaces; private to them. Both
 * speak by packets of a SOCK_SEQPACKET pair; its end is the end of the other side. */
#ifndef VG_RUNTIME_SESSION_INTERNAL_H
#define VG_RUNTIME_SESSION_INTERNAL_H

#include "runtime/session.h"
#include <sys/ioctl.h>

enum session_event {
  SESSION_STARTED, /* with the terminal's master, when there is one */
  SESSION_ENDED,   /* value: the exit status of the command */
  SESSION_REFUSED, /* value: 126 or 127, and the reason behind, for the user */
  SESSION_FAILED,  /* value: an error's code, and its text behind */
};

struct session_report {
  enum session_event event;
  int value;
};

enum { SESSION_REPORT_MAX = 8192 };

/* To the process: pass a signal on. */
struct session_signal {
  int number;
  bool group; /* to the command's process group: a key of the terminal was pressed */
};

/* What the process is given; all is borrowed. */
struct session_process {
  const struct live_info *info;
  const struct session_options *options;
  const char *mount_on; /* where the monitor has its tmpfs, see oci.h */
  int monitor_fd;       /* a pidfd */
  int control_fd;
  int in_fd; /* the command's; -1: /dev/null */
  int out_fd;
  int error_fd;
  struct winsize size; /* of the terminal, or zero */
};

/* The life of the process, which is in the pid namespace of the monitor. */
void session_process_main (const struct session_process *process) __attribute__ ((noreturn));

#endif
