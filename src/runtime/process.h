/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands beside the first process of a container, by the runtime's exec. */
#ifndef VG_RUNTIME_PROCESS_H
#define VG_RUNTIME_PROCESS_H

#include "runtime/bundle.h"
#include "runtime/oci.h"
#include <sys/ioctl.h>

struct process_terminal {
  const char *socket;  /* path of the socket that gets the terminal */
  struct winsize size; /* zero: unknown */
};

/* Has the runtime start the command detached: it becomes a child of the reaper that the caller is
 * or has. It is the process of the bundle's config.json, with its capabilities and limits, but for
 * what the command has of its own. @name names temporary files beside the bundle; several callers
 * at once need different ones. @streams are the command's, or @terminal is. @ret_pid is set as soon
 * as the command runs, also when an error follows. */
int process_exec (struct oci *oci, const struct bundle_command *command,
                  const struct oci_streams *streams, const struct process_terminal *terminal,
                  const char *name, pid_t *ret_pid, struct err *err);

#endif
