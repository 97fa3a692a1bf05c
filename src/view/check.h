/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking over what one guest shows: see vguest(8), check. */
#ifndef VG_VIEW_CHECK_H
#define VG_VIEW_CHECK_H

#include "guest/guest.h"

enum check_kind {
  CHECK_GROUP,    /* a name of a hard-link group that is shared as a group; no mistake */
  CHECK_FORM,     /* an attribute of the overlay in private that a fold does not know */
  CHECK_LOST,     /* a file of private whose contents are in no layer */
  CHECK_SET_ID,   /* set-user-id or set-group-id, and others may write to it */
  CHECK_STRAY_ID, /* set-id or with capabilities, outside of what packages own; no mistake */
};

/* "group", …: as in output. */
const char *check_kind_name (enum check_kind kind);

/* Is it a mistake that somebody should mend? */
bool check_is_problem (enum check_kind kind);

struct check_finding {
  enum check_kind kind;
  const char *path; /* borrowed */
  uint64_t group;   /* of CHECK_GROUP: the same number for all names of one group; from 1 */
  const char *text; /* borrowed; what is to be said, or "" */
};

/* Calls @found for each finding. Takes no lock; the guest may run. The cost is that of its
 * directories, and for private that of its files. */
int check_guest (struct guest *guest, void (*found) (void *data, const struct check_finding *),
                 void *data, struct err *err);

#endif
