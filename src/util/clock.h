/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clock that durations are measured with, which is monotonic and whose start means nothing; and
 * the time of day. */
#ifndef VG_UTIL_CLOCK_H
#define VG_UTIL_CLOCK_H

#include "err.h"
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Now, in microseconds. */
static inline uint64_t clock_us (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* Seconds since @start_us. */
static inline double clock_seconds_since (uint64_t start_us)
{
  return (double) (clock_us () - start_us) / 1e6;
}

/* Now as "2026-01-31T12:00:00Z"; @compact as "20260131T120000Z". The caller's string. */
char *clock_utc (bool compact);

#endif
