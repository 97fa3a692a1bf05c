/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How old something is. */
#ifndef VG_UTIL_AGE_H
#define VG_UTIL_AGE_H

#include "err.h"
#include <stdint.h>

/* "90m", "12h", "7d", "4w", or a number of seconds, as seconds. ERR_USAGE. */
int age_parse (const char *text, int64_t *ret_seconds, struct err *err);

/* The seconds since "2026-01-31T12:00:00Z"; 0 for one to come, -1 when it is no such stamp. */
int64_t age_of_stamp (const char *stamp);

/* "3 d", "5 h", "12 min", "40 s": the caller's string. "-" for a negative age. */
char *age_format (int64_t seconds);

#endif
