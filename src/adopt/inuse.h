/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is a tree used by somebody? */
#ifndef VG_ADOPT_INUSE_H
#define VG_ADOPT_INUSE_H

#include "adopt/source.h"

/* Refuses (EBUSY) a tree in which something is mounted, that is a layer of a mounted overlay, that
 * is the root directory of a process, in whatever namespace, or in which a process has its working
 * directory; and (ERR_USAGE) one that is of a state root or has one. */
int inuse_refuse (const struct adopt_source *source, struct err *err);

#endif
