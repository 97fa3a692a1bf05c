/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process between vguest and a container; see container.h. Private to this room. */
#ifndef VG_RUNTIME_SUPERVISOR_H
#define VG_RUNTIME_SUPERVISOR_H

#include "runtime/container.h"

/* What the supervisor writes to the caller at its end: this, then the text of the error. */
struct supervisor_report {
  int code; /* 0, or the error's */
  struct container_result result;
};

/* The supervisor's life, as process 1 of a new pid namespace; @control_fd is its end of a stream
 * socket: the caller writes signal numbers, one byte each, and reads the report. @output_fds:
 * where stdout and stderr of each command go, two for each; NULL: to this process's. @lock_fd: see
 * util/cgroup.h. */
void supervisor_main (const struct container *container, int control_fd, const int *output_fds,
                      int lock_fd) __attribute__ ((noreturn));

#endif
