/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which objects are equal in contents alone, and which of them may become entries. */
#ifndef VG_ENTRIES_CANDIDATES_H
#define VG_ENTRIES_CANDIDATES_H

#include "internal.h"

struct candidate_object {
  struct digest id;
  unsigned slot;
  bool free;    /* may become an entry */
  size_t whole; /* it shall be an entry: the index of the object that has the contents, + 1 */
  uint64_t ino, links, size, bytes;
  bool hashed;    /* what follows is known, and it is as its name says */
  unsigned flags; /* of its identity */
  struct digest contents;
  struct digest entry_id; /* its identity as an entry */
  unsigned entry_slot;    /* of the entry that was made: */
  uint64_t entry_ino;     /* 0: none */
};

struct candidates {
  struct candidate_object *objects; /* owned */
  size_t count;
  struct u64table index; /* owned: inode -> index + 1 */
};

static inline void candidates_release (struct candidates *candidates)
{
  free (candidates->objects);
  u64table_release (&candidates->index);
}
#define autocandidates __attribute__ ((cleanup (candidates_release)))

/* Looks through the places that are open in @run, and through the store. With @known, which is what
 * an earlier search found, nothing is read: what it did not hash is passed over, and so is what has
 * changed since. Sets whole. */
int candidates_find (struct entries_run *run, const struct candidates *known,
                     struct candidates *ret_candidates, struct err *err);

/* Were both hashed, and are they equal? @ino is an inode of the store, or of store/data. */
bool candidates_equal (const struct candidates *candidates, uint64_t ino,
                       const struct candidate_object *object);

#endif
