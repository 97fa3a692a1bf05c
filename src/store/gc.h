/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects that no tree uses any more have one link left: the store's own.
 *
 * Others publish and link objects meanwhile. An object is renamed into a directory of the collector
 * first, where nobody can link it any more; only then its links are counted once more. One that got
 * a link before that goes back to the store, on a free slot. Who wanted to link it and found it
 * gone publishes the same file anew. */
#ifndef VG_STORE_GC_H
#define VG_STORE_GC_H

#include "store/store.h"

struct gc_options {
  bool dry_run;
  bool force;        /* also more than half of the store */
  uint64_t expected; /* so many unused objects are no question */
  int away_fd;       /* a directory on the store's file system, the collector's alone */
};

struct gc_result {
  uint64_t objects; /* removed; of a dry run, or when it was refused, unused */
  uint64_t bytes;   /* freed, by blocks */
  uint64_t kept;    /* objects still in use */
  bool refused;     /* it is more than half: nothing was removed */
};

/* Removes the objects that no tree uses. More than half of the store, and more than
 * options->expected, are not removed without options->force: it may be that trees are missing.
 * Beside others at any time; one collector at a time, or one comes to the others' objects first. */
int store_gc (struct store *store, const struct gc_options *options, struct gc_result *ret_result,
              struct err *err);

/* The error for a refusal. Returns -err->code. */
int gc_refuse (const struct gc_result *result, struct err *err);

/* What a killed collector left in its directory @away_fd: objects that are in use go back to the
 * store, others are removed. */
int store_gc_sweep (struct store *store, int away_fd, struct err *err);

#endif
