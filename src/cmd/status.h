/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The states of guests, for several verbs. */
#ifndef VG_CMD_STATUS_H
#define VG_CMD_STATUS_H

#include "cmd.h"

/* Prints the states of @names, or with @names_only the names of those that run; as JSON where the
 * context says so. The exit status: 0 when all run, else 3. */
int show_states (const struct context *context, const struct names *names, bool names_only,
                 struct err *err);

#endif
