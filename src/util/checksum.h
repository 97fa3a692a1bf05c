/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digests that others publish of their files, and computing them while the bytes pass by.
 *
 * Kinds are ordered by strength. MD5 and SHA-1 are weak: collisions can be made, so that whoever
 * makes a file can make another one with the same digest; they show damage, not tampering. */
#ifndef VG_UTIL_CHECKSUM_H
#define VG_UTIL_CHECKSUM_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stdint.h>

enum checksum_kind {
  CHECKSUM_NONE,
  CHECKSUM_MD5,
  CHECKSUM_SHA1,
  CHECKSUM_SHA224,
  CHECKSUM_SHA256,
  CHECKSUM_SHA384,
  CHECKSUM_SHA512,
};

/* "sha512", 128 digits, and ":" and NUL. */
enum { CHECKSUM_BYTES_MAX = 64, CHECKSUM_TEXT_SIZE = 6 + 1 + 2 * CHECKSUM_BYTES_MAX + 1 };

struct checksum {
  enum checksum_kind kind;
  uint8_t bytes[CHECKSUM_BYTES_MAX]; /* the first checksum_size; the rest is 0 */
};

/* "sha256" in any case, "sha-256", or "sha" (which is SHA-1, as rpm's metadata has it).
 * CHECKSUM_NONE for anything else. */
enum checksum_kind checksum_kind_by_name (const char *name);

/* "sha256", …; "none". */
const char *checksum_kind_name (enum checksum_kind kind);

/* Bytes of a digest of that kind; 0 for CHECKSUM_NONE. */
size_t checksum_size (enum checksum_kind kind);

bool checksum_is_weak (enum checksum_kind kind);

/* Reads a digest in hex digits of any case. ERR_USAGE when @kind is not known, or @hex is not a
 * digest of that kind. */
int checksum_parse (const char *kind, const char *hex, struct checksum *ret_checksum,
                    struct err *err);

/* The same for "KIND:HEX" in one string, as apt and OCI write it. */
int checksum_parse_tagged (const char *text, struct checksum *ret_checksum, struct err *err);

/* "KIND:HEX", or HEX alone, in lower case. */
void checksum_format (const struct checksum *checksum, char text[static CHECKSUM_TEXT_SIZE]);
void checksum_hex (const struct checksum *checksum, char text[static CHECKSUM_TEXT_SIZE]);

bool checksum_equal (const struct checksum *a, const struct checksum *b);

/* The strongest of several; NULL when there is none, or none of a kind other than CHECKSUM_NONE.
 * Borrowed. */
const struct checksum *checksum_strongest (const struct checksum *list, size_t count);

/* Computes up to two digests of the same bytes in one pass. For one thread. */
struct checksummer;

/* @second may be CHECKSUM_NONE, or the same as @first. EOPNOTSUPP when OpenSSL has one of them not,
 * or forbids it; ELIBACC when it is missing. */
int checksummer_new (enum checksum_kind first, enum checksum_kind second,
                     struct checksummer **ret_checksummer, struct err *err);
void checksummer_free (struct checksummer *checksummer);
static inline void cleanup_checksummer (struct checksummer **checksummer)
{
  checksummer_free (*checksummer);
}
#define autochecksummer __attribute__ ((cleanup (cleanup_checksummer)))

/* Begins from nothing; a new one has begun. */
void checksummer_restart (struct checksummer *checksummer);
void checksummer_add (struct checksummer *checksummer, const void *data, size_t len);

/* Adds the bytes @from up to @to of the file @fd. Its offset stays. EIO when there are fewer. */
int checksummer_add_file (struct checksummer *checksummer, int fd, uint64_t from, uint64_t to,
                          struct err *err);

/* Ends; checksummer_restart begins anew. @ret_second may be NULL; kind CHECKSUM_NONE when there is
 * none. */
void checksummer_end (struct checksummer *checksummer, struct checksum *ret_first,
                      struct checksum *ret_second);

#endif
