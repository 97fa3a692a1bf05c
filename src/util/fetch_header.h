/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of an HTTP answer, as far as libcurl leaves it to us. Foreign data, bounded. */
#ifndef VG_UTIL_FETCH_HEADER_H
#define VG_UTIL_FETCH_HEADER_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stdint.h>

enum { FETCH_HEADERS_MAX = 200, FETCH_HEADER_LINE_MAX = 16 << 10, FETCH_HEADERS_BYTES = 128 << 10 };

struct fetch_headers {
  char **lines; /* owned; "name: value", trimmed, printable or UTF-8 */
  size_t count;
  size_t bytes;
};
void fetch_headers_release (struct fetch_headers *headers);

/* Takes one line as it came, its end included. A status line ("HTTP/…") begins a new answer and
 * forgets the one before; what is no header, or beyond the bounds, is left out. */
void fetch_headers_add (struct fetch_headers *headers, const char *line, size_t len);

/* The value of @name in any case; NULL. Borrowed. The first, when there are several. */
const char *fetch_headers_find (char *const *lines, size_t count, const char *name);

/* Content-Range: "bytes FROM-TO/TOTAL", TOTAL may be "*" (UINT64_MAX); or "bytes * /TOTAL" without
 * the space, of status 416: then *ret_from is UINT64_MAX. False for anything else. */
bool fetch_content_range (const char *value, uint64_t *ret_from, uint64_t *ret_to,
                          uint64_t *ret_total);

/* What If-Range may say for an answer with these headers: a strong ETag, else Last-Modified; NULL
 * when there is neither. Borrowed. */
const char *fetch_validator (const struct fetch_headers *headers);

/* May @text be sent in a header: no control characters? */
bool fetch_header_safe (const char *text);

#endif
