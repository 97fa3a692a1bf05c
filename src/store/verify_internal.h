/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between verify.c, verify_object.c and diagnose.c. */
#ifndef VG_STORE_VERIFY_INTERNAL_H
#define VG_STORE_VERIFY_INTERNAL_H

#include "store/verify.h"

/* One thread's. */
struct diagnosis {
  struct hasher *hasher; /* borrowed */
  unsigned searches;     /* how many objects all modes were tried for */
};

/* Is @id the identity of these parts, with any flags? */
bool parts_are (struct hasher *hasher, const struct identity_parts *parts, const struct stat *st,
                const struct digest *id);

/* Reads the parts of a file whose stat is @st, and leaves the page cache as it was. */
int parts_read (struct hasher *hasher, int dir_fd, const char *name, const struct stat *st,
                struct identity_parts *ret_parts, struct err *err);

/* Is one of the attributes an overlay's, and not what makes an entry? */
bool parts_have_forms (const struct xattrs *xattrs);

/* May an object of these parts, named @id, be an entry? */
bool parts_may_be_entry (struct hasher *hasher, const struct identity_parts *parts,
                         const struct digest *id);

/* Finds out what is wrong with an object that was read, and sets kind, right and detail. @note may
 * be NULL. */
void diagnose (struct diagnosis *diagnosis, const struct identity_parts *parts,
               const struct contents_note *note, struct damage *damage);

#endif
