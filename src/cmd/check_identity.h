/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES check --identity: what should be a guest's own, and another has as well. */
#ifndef VG_CMD_CHECK_IDENTITY_H
#define VG_CMD_CHECK_IDENTITY_H

#include "cmd.h"

/* Compares the guests @names with all of @root and prints; ERR_SOME_FAILED when something is
 * found. */
int check_identity (struct context *context, struct vroot *root, const struct names *names,
                    struct err *err);

#endif
