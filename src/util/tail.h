/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last lines of what a program wrote, for the error that tells of its failure. */
#ifndef VG_UTIL_TAIL_H
#define VG_UTIL_TAIL_H

#include "cleanup.h"
#include <stddef.h>

enum { TAIL_BYTES = 2000, TAIL_LINES = 15 };

/* What came last; start with zero. */
struct tail {
  char bytes[2 * TAIL_BYTES];
  size_t len;
};

void tail_add (struct tail *tail, const char *bytes, size_t len);

/* The last lines of @text, TAIL_LINES and TAIL_BYTES at most, each indented on a line of its own,
 * with control characters replaced; "" when there is nothing. The caller's string. */
char *tail_text (const char *text, size_t len);

#endif
