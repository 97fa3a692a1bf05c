/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of digests: SHA256SUMS and the like, in coreutils' and in BSD's form. */
#ifndef VG_TEMPLATE_SUMS_H
#define VG_TEMPLATE_SUMS_H

#include "util/checksum.h"

/* The strongest digest of @name in @text: lines "HEX  NAME", "HEX *NAME" and "SHA256 (NAME) = HEX";
 * "./" before a name is nothing, and other lines are passed over. MD5 and SHA-1 do not count.
 * ENOENT when there is none; EBADMSG when there are two that differ. */
int sums_find (const char *text, size_t len, const char *name, struct checksum *ret_checksum,
               struct err *err);

#endif
