/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What no two guests may have in common: ids, keys, seeds, leases. A clone is made without them
 * (guest/identity.h); here is looked whether that held, or whether a restored, adopted or copied
 * guest brought them along. */
#ifndef VG_VIEW_IDENTITIES_H
#define VG_VIEW_IDENTITIES_H

#include "guest/guest.h"

struct identity_value {
  size_t guest;     /* index into the names that were given */
  const char *kind; /* static: "machine-id", … */
  char *path;       /* owned: "/etc/machine-id" */
  char *bytes;      /* owned: the file's contents, or a part of them */
  size_t len;
};

struct identities {
  struct identity_value *items; /* owned; equal values of a kind are neighbours */
  size_t count;
};
void identities_release (struct identities *identities);
#define autoidentities __attribute__ ((cleanup (identities_release)))

/* Reads what the guests @names show, without a lock and also while they run. Empty files, machine
 * ids that are not made yet, symbolic links and files above 1 MiB say nothing. A guest that went
 * away is left out. */
int identities_read (struct vroot *root, const struct names *names,
                     struct identities *ret_identities, struct err *err);

/* How many values from @first on are the same. */
size_t identities_same (const struct identities *identities, size_t first);

#endif
