/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UTF-8 (RFC 3629): JSON, and so a container runtime, can carry nothing else. */
#ifndef VG_UTIL_UTF8_H
#define VG_UTIL_UTF8_H

#include <stdbool.h>

/* Is all of @text well-formed? */
bool utf8_valid (const char *text);

#endif
