/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same function for many things in several threads. */
#ifndef VG_UTIL_PARALLEL_H
#define VG_UTIL_PARALLEL_H

#include "util/cleanup.h"

struct parallel {
  unsigned threads; /* at least 1; the caller's is one of them, number 0 */
  size_t count;
  void *data;

  /* Called for each @index below count, in any order. @thread is the number of the calling thread,
   * below threads: for what each of them has of its own. */
  int (*run) (void *data, unsigned thread, size_t index, struct err *err);
};

/* Runs them. After a failure, or a signal (ERR_INTERRUPTED, util/interrupt.h), no more are begun;
 * the first failure is the call's. */
int parallel_run (const struct parallel *parallel, struct err *err);

#endif
