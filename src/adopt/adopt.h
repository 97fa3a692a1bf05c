/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tree in use elsewhere becomes a guest: the room of `vguest NAME adopt`.
 *
 * The guest is the same machine as before: nothing of its identity is changed. Its shared layer
 * starts empty and the whole tree is its private layer; then the guest is settled as one that ran,
 * which moves what the policy shares and leaves what it keeps private where it is. */
#ifndef VG_ADOPT_ADOPT_H
#define VG_ADOPT_ADOPT_H

#include "adopt/scan.h"
#include "adopt/source.h"
#include "guest/guest.h"
#include "unify/unify.h"

struct adopt_options {
  bool move;    /* rename the tree, which must be in the file system of the root; else copy it */
  bool dry_run; /* only tell what would be; an export is unpacked in staging for that */
};

struct adopt_result {
  struct scan scan;           /* owned; of the tree */
  struct unify_report report; /* owned; of the settling, or what it would be */
  bool measured;              /* report has figures: not for a dry run with shifted ids */
};

void adopt_result_release (struct adopt_result *result);
#define autoadoptresult __attribute__ ((cleanup (adopt_result_release)))

/* Makes the guest of @request of @source. What of the tree has no counterpart is added to the
 * leftovers of source->translation. Errors: EEXIST; EBUSY when the tree is used; ERR_USAGE when it
 * is none that can be adopted; EXDEV for a move from elsewhere. An error behind the publication
 * says so: the next command finishes what is missing. */
int adopt_guest (struct vroot *root, const struct adopt_request *request,
                 struct adopt_source *source, const struct adopt_options *options,
                 struct adopt_result *ret_result, struct err *err);

#endif
