/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Templates that are not there yet, made by their definitions when a guest is to be made of them.
 */
#ifndef VG_CMD_PULL_H
#define VG_CMD_PULL_H

#include "cmd/cmd.h"

enum pull {
  PULL_ASK,     /* offer it on a terminal; elsewhere say how to get it */
  PULL_ALWAYS,  /* make it, or update it when its source has something newer */
  PULL_MISSING, /* make it when it is not there */
  PULL_NEVER,
};

/* "always", "missing", "never"; NULL: PULL_ASK. ERR_USAGE. */
int pull_parse (const char *text, enum pull *ret_pull, struct err *err);

/* Sees to it that SOURCE of -m clone is there, if it is a template that there is a definition of.
 * ERR_NO_GUEST, with what to do, when it was not made. */
int pull_template (const struct context *context, struct vroot *root, const char *source,
                   enum pull pull, struct err *err);

#endif
