/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deleting guests: each is renamed to staging under its lock, which makes it gone at once; what
 * only they used is freed behind that. */
#ifndef VG_GUEST_REMOVE_H
#define VG_GUEST_REMOVE_H

#include "guest/guest.h"

struct remove_result {
  uint64_t freed_bytes;
  bool collected; /* false: objects that are unused now are freed by a later command, as another
                     one is using the store */
};

/* Deletes the guests @names. A mounted guest is refused (EBUSY), a locked one waited for. What went
 * wrong with single guests is in @errs, one for each name, which starts zeroed and is the caller's.
 * Negative for errors that concern all. */
int guests_remove (struct vroot *root, const struct names *names, struct err *errs,
                   struct remove_result *ret_result, struct err *err);

#endif
