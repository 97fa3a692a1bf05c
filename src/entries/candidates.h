/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which objects are equal in contents alone, and which of them may become entries. */
#ifndef VG_ENTRIES_CANDIDATES_H
#define VG_ENTRIES_CANDIDATES_H

#include "internal.h"

struct candidate_object {
  struct digest id;
  unsigned slot;
  bool free;      /* may become an entry */
  bool hashed;    /* what follows is known, and it is as its name says */
  unsigned flags; /* of its identity */
  size_t whole;   /* it shall be an entry: the index of the object that has the contents, + 1 */
  uint64_t ino, links, size, bytes;
  struct digest contents;
  struct digest entry_id; /* its identity as an entry */
  unsigned entry_slot;    /* of the entry that was made: */
  uint64_t entry_ino;     /* 0: none */
};

struct candidates {
  struct candidate_object *objects; /* owned */
  size_t count;
};

static inline void candidates_release (struct candidates *candidates)
{
  free (candidates->objects);
}
#define autocandidates __attribute__ ((cleanup (candidates_release)))

/* Looks through the places that are open in @run, and through the store; sets whole. */
int candidates_find (struct entries_run *run, struct candidates *ret_candidates, struct err *err);

#endif
