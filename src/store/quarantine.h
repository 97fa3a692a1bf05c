/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quarantine: damaged objects, which are never linked to again.
 *
 *   store/quarantine/<64 hex digits>-<slot>[.N]   what was the object of that name
 *   store/quarantine/alien-<inode>[.N]            what lay in the store and was no object
 *
 * The name is another one, the inode the same: trees that use it still do. It is kept until
 * somebody removes it by hand, as it may be the only place of what somebody wrote; nothing looks at
 * it but store_has_inode, so that unify does not make an object of it, and fsck. */
#ifndef VG_STORE_QUARANTINE_H
#define VG_STORE_QUARANTINE_H

#include "store/store.h"

#define QUARANTINE_NAME "quarantine"

/* Moves the slot there, provided that its inode is @ino. @ret_name, the caller's, is its name
 * there. Returns 1; 0 when the slot is not that inode any more; negative. */
int quarantine_object (struct store *store, const struct digest *id, unsigned slot, uint64_t ino,
                       char **ret_name, struct err *err);

/* Moves @name of @dir_fd there, which is no object. A directory goes with all that is in it. */
int quarantine_alien (struct store *store, int dir_fd, const char *name, char **ret_name,
                      struct err *err);

struct quarantined {
  char *name; /* owned */
  uint64_t ino;
  bool object; /* else the next two say nothing */
  struct digest id;
  unsigned slot;
};

struct quarantine {
  struct quarantined *items; /* owned */
  size_t count;
};

void quarantine_release (struct quarantine *quarantine);
#define autoquarantine __attribute__ ((cleanup (quarantine_release)))

/* All that is there. */
int quarantine_read (struct store *store, struct quarantine *ret_quarantine, struct err *err);

/* Opens the directory; -1 in @ret_fd where there is none yet. */
int quarantine_open (struct store *store, int *ret_fd, struct err *err);

/* Adds the inodes that are there to @inodes. */
int quarantine_note_inodes (struct store *store, struct u64set *inodes, struct err *err);

#endif
