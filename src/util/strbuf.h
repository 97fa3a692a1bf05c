/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one growing string buffer, always NUL-terminated, with a mandatory maximum so that foreign
 * data cannot exhaust memory. After a refused append the buffer is unchanged and `failed` is set;
 * check it once at the end of a run of appends. */
#ifndef VG_UTIL_STRBUF_H
#define VG_UTIL_STRBUF_H

#include "cleanup.h"
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
  char *data;     /* owned; NULL until the first append */
  size_t len;     /* bytes in use, without the NUL */
  size_t size;    /* bytes allocated */
  size_t maximum; /* len never goes above this */
  bool failed;    /* an append would have gone above maximum */
};

#define STRBUF_INIT(max)                                                                           \
  {                                                                                                \
    .maximum = (max)                                                                               \
  }
#define autostrbuf __attribute__ ((cleanup (strbuf_release)))

void strbuf_release (struct strbuf *sb);
void strbuf_truncate (struct strbuf *sb, size_t len);

/* Appends; returns false, and sets `failed`, when the maximum would be passed. */
bool strbuf_add (struct strbuf *sb, const void *data, size_t len);
bool strbuf_adds (struct strbuf *sb, const char *s);
bool strbuf_addf (struct strbuf *sb, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

/* The value of a lower-case hex digit, or -1. */
int hex_digit (char c);

/* The text, "" when empty. Borrowed, valid until the next append. */
const char *strbuf_str (const struct strbuf *sb);

/* The text as a string that the caller owns; the buffer is empty afterwards. */
char *strbuf_steal (struct strbuf *sb);

/* Appends "/NAME" (or NAME when the buffer is empty). Returns the length before, for
 * strbuf_truncate when the walk leaves NAME. For messages and rules, not for opening files. */
size_t strbuf_push_name (struct strbuf *sb, const char *name);

/* The same for paths from a root: always "/NAME". */
size_t strbuf_push_below (struct strbuf *sb, const char *name);

#endif
