/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which transaction made a path what it is, as far as undo layers tell (guest/history.h): each
 * holds what its transaction found at all paths that it changed. The layers are walked beside the
 * guest, directory by directory. */
#ifndef VG_VIEW_SINCE_H
#define VG_VIEW_SINCE_H

#include "guest/guest.h"

/* The same directory in all undo layers. */
struct since {
  struct since_layer {
    uint64_t id;
    int fd;   /* owned; -1: has nothing here */
  } * layers; /* owned; the newest first */
  size_t count;
  uint64_t all; /* that one changed all that is here; or 0 */
};
void since_release (struct since *since);
#define autosince __attribute__ ((cleanup (since_release)))

/* The top, of a guest that is open without a lock. */
int since_open (struct guest *guest, struct since *ret_since, struct err *err);

/* The newest transaction that changed the non-directory @name there, or made the directory; 0 when
 * none is known. */
uint64_t since_of (const struct since *since, const char *name);

/* The directory @name of it. */
int since_child (const struct since *since, const char *name, struct since *ret_child,
                 struct err *err);

#endif
