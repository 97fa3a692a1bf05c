/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a thin guest lies over: guests/NAME/base, see tree/lower.h. The link alone says whether a
 * guest is thin; state.json has the same template and generation, as for any clone.
 *
 * A generation that some link leads to is not removed, whatever becomes of its template
 * (template/generation.h). Who makes such a link holds the template's lock shared until the guest
 * is in guests/, where it is found. */
#ifndef VG_GUEST_BASE_H
#define VG_GUEST_BASE_H

#include "guest/guest.h"

struct guest_base {
  char *template; /* owned; NULL: the guest is not thin */
  int64_t generation;
};
void guest_base_release (struct guest_base *base);
#define autoguestbase __attribute__ ((cleanup (guest_base_release)))

/* Reads the link in the directory of a guest. A guest that does not need it any more, as its tree
 * is whole, is not thin. EUCLEAN when it is none of ours. */
int guest_base_read (int guest_fd, struct guest_base *ret_base, struct err *err);

/* Makes the link in @fd, a guest that is being built. */
int guest_base_write (int fd, const struct guest_base *base, struct err *err);

/* Locks the base's template shared, so that the generation stays while the new guest is not yet to
 * be seen. The caller may hold a guest's lock: nobody waits for one who has a template's lock
 * exclusively. @ret_fd is the caller's. */
int guest_base_lock (struct vroot *root, const struct guest_base *base, int *ret_fd,
                     struct err *err);

#endif
