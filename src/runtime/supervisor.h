/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process between vguest and a container; see container.h. Private to this room. */
#ifndef VG_RUNTIME_SUPERVISOR_H
#define VG_RUNTIME_SUPERVISOR_H

#include "runtime/container.h"
#include <sys/ioctl.h>

/* What the supervisor writes to the caller at its end: this, then the text of the error. */
struct supervisor_report {
  int code; /* 0, or the error's */
  struct container_result result;
};

/* Its descriptors; -1: none. */
struct supervisor_fds {
  int control; /* its end of a stream socket: the caller writes signal numbers, one byte each, and
                  reads the report */
  int in;      /* of the commands */
  int out;
  int error;
  const int *outputs;  /* stdout and stderr of each command, in place of out and error; or NULL */
  int terminal;        /* a SOCK_SEQPACKET socket that the terminal's master is sent to */
  int lock;            /* see util/cgroup.h */
  struct winsize size; /* of the terminal, or zero */
};

/* The supervisor's life, as process 1 of a new pid namespace. */
void supervisor_main (const struct container *container, const struct supervisor_fds *fds)
    __attribute__ ((noreturn));

#endif
