/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When unused objects are collected: gc.h says how.
 *
 *   gc-wanted    somebody may have left unused objects: the next command that can, collects them
 *   gc-running   the note of a collection that has begun; of one that was killed, when it is there
 *                and nobody holds gc-lock
 *   gc-lock      held by the one who collects, beside all others */
#ifndef VG_GUEST_COLLECT_H
#define VG_GUEST_COLLECT_H

#include "guest/root.h"
#include "store/gc.h"

/* Leaves the note that objects may have become unused. */
int root_want_gc (struct vroot *root, struct err *err);

struct collect_options {
  bool always;       /* also without a note */
  bool wait;         /* for another one who collects */
  bool force;        /* see gc.h */
  uint64_t expected; /* so many objects this command itself has left unused: see gc.h */
};

/* Collects unused objects. Returns 1 when that was done; 0 when it was not wanted, when another one
 * collects (the note stays), or when it was refused, which root->on_warning is told, unless
 * options->wait: then it is an error. The root lock is held, shared. */
int root_collect (struct vroot *root, const struct collect_options *options,
                  struct gc_result *ret_result, struct err *err);

/* The same after a removal that left @expected objects unused. */
int root_collect_after (struct vroot *root, uint64_t expected, struct gc_result *ret_result,
                        struct err *err);

/* What root_collect with options->wait would do now, without doing it: no lock is needed. */
int root_collect_look (struct vroot *root, struct gc_result *ret_result, struct err *err);

#endif
