/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhashify --contents and --no-contents. */
#ifndef VG_CMD_HASHIFY_CONTENTS_H
#define VG_CMD_HASHIFY_CONTENTS_H

#include "cmd/cmd.h"

/* Files of the selected guests share contents alone. Returns the exit status, or negative. */
int hashify_contents (struct context *context, struct selecting *selecting, bool dry_run,
                      struct err *err);

/* All files of the root are whole again. */
int hashify_no_contents (struct context *context, struct err *err);

#endif
