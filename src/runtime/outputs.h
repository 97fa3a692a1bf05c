/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pipes for what the commands of a container write: two for each command, so that it is known whose
 * output it is, and one for both streams of a command that is not split (bundle.h). */
#ifndef VG_RUNTIME_OUTPUTS_H
#define VG_RUNTIME_OUTPUTS_H

#include "runtime/container.h"
#include <poll.h>

struct outputs {
  const struct container *container; /* borrowed */
  size_t count;                      /* of the entries below: 0 without an output function */
  int *ours;                         /* owned; the reading ends; -1: none, or it has ended */
  int *ends;                         /* owned; the commands', all together: -1 when closed */
};

/* Makes them. What is in @ret_outputs on errors is to be released as well. */
int outputs_open (struct outputs *ret_outputs, const struct container *container, struct err *err);
void outputs_close_ours (struct outputs *outputs);
void outputs_close_ends (struct outputs *outputs);
void outputs_release (struct outputs *outputs);

/* What to wait for, and what to do then. @polls has outputs->count entries. */
void outputs_poll (const struct outputs *outputs, struct pollfd *polls);
int outputs_handle (struct outputs *outputs, const struct pollfd *polls, struct err *err);

bool outputs_ended (const struct outputs *outputs);

#endif
