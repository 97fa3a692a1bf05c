/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another name for a guest: rename_prepare, then rename_carry_out.
 *
 *   guests/NAME/rename.json   {"from", "to", "old_hostname", "hostname"}: written before the first
 *                             step; without host names when none is to be replaced, or it was done
 *
 * The directory's rename decides. Recovery of a guest that still has the old name removes the
 * record; one that has the new name carries out what is missing: the host name in the guest's files
 * and settings, and the old name in what other guests depend on. */
#ifndef VG_GUEST_RENAME_H
#define VG_GUEST_RENAME_H

#include "guest/guest.h"

#define RENAME_RECORD "rename.json"

struct renaming {
  struct guest *guest;       /* owned; locked; it gets its new name by rename_carry_out */
  struct guest **dependents; /* owned; those that depend on it, locked (GUEST_TAKEN) */
  size_t dependent_count;
  char *from;             /* owned */
  char *to;               /* owned */
  char *old_hostname;     /* owned; NULL when the host name stays */
  char *hostname;         /* owned; NULL when the host name stays */
  struct names told;      /* owned; the guests whose "depends" was changed */
  struct names commented; /* owned; those whose comments are in config.json.old only */
};

void renaming_release (struct renaming *renaming);
#define autorenaming __attribute__ ((cleanup (renaming_release)))

/* Locks the guest @from and those that depend on it, by name, and checks all that can be known
 * before anything is written. Errors: ERR_USAGE for a bad name, ERR_NO_GUEST, ERR_NOTHING when it
 * is called so, EEXIST when @to is there or being built, EBUSY when it runs. */
int rename_prepare (struct vroot *root, const char *from, const char *to,
                    struct renaming *ret_renaming, struct err *err);

/* Renames it. What a crash left of an earlier run outside of the guest was released by the caller.
 * When this fails behind the rename itself, the next guest_open finishes it. */
int rename_carry_out (struct vroot *root, struct renaming *renaming, struct err *err);

/* Is there a record of a rename? 1, 0 or negative. */
int rename_pending (struct guest *guest, struct err *err);

/* Undoes or finishes an interrupted rename of @guest, which is locked exclusively. Dependents that
 * somebody else has locked are left, with the record, to the next time. */
int rename_recover (struct vroot *root, struct guest *guest, struct err *err);

#endif
