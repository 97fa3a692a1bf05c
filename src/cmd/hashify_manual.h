/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhashify --manually. */
#ifndef VG_CMD_HASHIFY_MANUAL_H
#define VG_CMD_HASHIFY_MANUAL_H

#include "cmd/cmd.h"

struct manually {
  bool wanted;              /* --manually */
  bool reflink;             /* --reflink */
  const char *exclude_from; /* --exclude-from FILE, "-": standard input; or NULL */
  bool dry_run;
};

/* Unifies the directories @paths, which are none of vguest's. */
int hashify_manually (const struct context *context, const struct manually *manually, char **paths,
                      size_t count, struct err *err);

#endif
