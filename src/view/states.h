/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files of a guest are shared, with how many, and since when. */
#ifndef VG_VIEW_STATES_H
#define VG_VIEW_STATES_H

#include "guest/guest.h"
#include "view/holders.h"
#include "view/view.h"

enum state_sharing {
  STATE_PRIVATE,  /* the guest's own */
  STATE_SHARED,   /* in its tree, or in the tree of its template */
  STATE_CONTENTS, /* its contents are shared, and its metadata lies apart: it is the guest's own, or
                     it is an entry (util/metaentry.h) */
};

struct view_state {
  const char *path; /* borrowed */
  enum state_sharing sharing;
  enum view_layer layer;
  struct stat st;     /* as the guest sees it, but for nlink and ino */
  uint64_t guests;    /* how many other guests have it */
  uint64_t templates; /* how many generations of templates */
  uint64_t since;     /* the transaction that made it what it is; 0: not known */
};

struct states {
  struct vroot *root;          /* borrowed */
  struct guest *guest;         /* borrowed */
  struct view_dir top;         /* owned */
  struct view_holders holders; /* owned */
};
void states_release (struct states *states);
#define autostates __attribute__ ((cleanup (states_release)))

/* Opens the guest's layers, looks for @paths, and counts who else has the inodes of all that is at
 * and below them. @ret_is_dir, of @count, says which are directories. The first path that is not
 * there ends it: ENOENT, ENOTDIR. */
int states_open (struct vroot *root, struct guest *guest, char *const *paths, size_t count,
                 bool *ret_is_dir, struct states *ret_states, struct err *err);

/* Calls @visit for the file, or for all files below the directory, @path, which is one of those.
 * The cost is that of a stat per file. Negative ends the walk. */
int states_each (const struct states *states, const char *path,
                 int (*visit) (void *data, const struct view_state *state, struct err *err),
                 void *data, struct err *err);

#endif
