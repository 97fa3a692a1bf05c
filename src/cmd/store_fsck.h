/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How vstore fsck tells what it found. */
#ifndef VG_CMD_STORE_FSCK_H
#define VG_CMD_STORE_FSCK_H

#include "fsck/fsck.h"

/* For people, to stdout; with @summary also the last lines, which are told when all is well. */
void fsck_print (const struct fsck *fsck, bool summary);

/* For machines; the caller's. */
json_object *fsck_to_json (const struct fsck *fsck);

#endif
