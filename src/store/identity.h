/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes two files the same: everything that a hard link shares.
 *
 * The identity of a file is the SHA-256 of a fixed-width, versioned serialisation of its type,
 * mode, uid, gid, size, mtime (ns), device number, extended attributes, and the SHA-256 of its
 * contents (the target, for a symlink). All integers are little-endian 64-bit:
 *
 *   "vgobj" version flags type mode uid gid size mtime_s mtime_ns rdev xattr_count
 *   { name_len name value_len value }…  contents[32]
 *
 * With IDENTITY_ANY_MTIME the mtime fields are 0 and the flag is in `flags`, so that relaxed and
 * strict objects never mix. Overlay attributes are not part of a file; contents are read where an
 * entry has them (util/metaentry.h). Directories and sockets have no identity; empty regular files
 * have one but are never unified (identity_can_share). */
#ifndef VG_STORE_IDENTITY_H
#define VG_STORE_IDENTITY_H

#include "util/cleanup.h"
#include "util/xattr.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { IDENTITY_VERSION = 1 };
enum {                         /* flags */
       IDENTITY_ANY_MTIME = 1, /* see above */
       IDENTITY_ENTRY = 2,     /* of an object that may be an entry: apart from that it is the same
                                  file, and a whole one may stand for it */
};

/* For identity_same alone: the contents are known to be equal. */
enum { IDENTITY_SAME_CONTENTS = 1 << 8 };

struct digest {
  uint8_t bytes[32];
};

/* A SHA-256 context, for one thread. OpenSSL is loaded when something is hashed; the program stops
 * where that cannot be. */
struct hasher;

struct hasher *hasher_new (void);
void hasher_free (struct hasher *hasher);
static inline void cleanup_hasher (struct hasher **hasher)
{
  hasher_free (*hasher);
}
#define autohasher __attribute__ ((cleanup (cleanup_hasher)))

/* @tick is called between the pieces of a big file that is read, with the bytes since the last
 * call; negative ends the reading. */
void hasher_on_read (struct hasher *hasher, int (*tick) (void *data, size_t bytes, struct err *err),
                     void *data);

/* Had it to wait for the disk for more than a few of the files that it read last? */
bool hasher_waits (const struct hasher *hasher);

void hasher_start (struct hasher *hasher);
void hasher_add (struct hasher *hasher, const void *data, size_t len);
void hasher_end (struct hasher *hasher, struct digest *ret_digest);

/* May files like @st be shared at all: no directories, no sockets, no empty regular files. */
bool identity_can_share (const struct stat *st);

/* The identity from its parts. @contents is the SHA-256 of the data; all zero for specials. */
void identity_combine (struct hasher *hasher, const struct stat *st, const struct xattrs *xattrs,
                       const struct digest *contents, unsigned flags, struct digest *ret_id);

/* What the identity of a file is made of. */
struct identity_parts {
  struct stat st;
  struct xattrs xattrs;   /* owned; without the overlay's */
  struct digest contents; /* all zero for specials */
};

void identity_parts_release (struct identity_parts *parts);
#define autoidentityparts __attribute__ ((cleanup (identity_parts_release)))

/* Reads them of the regular file open for reading at @fd, whose contents are read once. ESTALE when
 * it changed meanwhile. */
int identity_parts_of_fd (struct hasher *hasher, int fd, struct identity_parts *ret_parts,
                          struct err *err);

/* The same of any file that can have an identity, by name. EINVAL for others. */
int identity_parts_of (struct hasher *hasher, int dir_fd, const char *name,
                       struct identity_parts *ret_parts, struct err *err);

/* The identity of the regular file open for reading at @fd, whose contents are read once.
 * What was not in the page cache before is dropped from it. ESTALE when it changed meanwhile.
 * @ret_st, which may be NULL, gets its stat. */
int identity_of_fd (struct hasher *hasher, int fd, unsigned flags, struct digest *ret_id,
                    struct stat *ret_st, struct err *err);

/* The same, for a caller that has its stat. */
int identity_of_open (struct hasher *hasher, int fd, const struct stat *st, unsigned flags,
                      struct digest *ret_id, struct err *err);

/* The identity of any file that can have one, by name. */
int identity_of (struct hasher *hasher, int dir_fd, const char *name, unsigned flags,
                 struct digest *ret_id, struct stat *ret_st, struct err *err);

/* Are the two files the same, byte for byte and in all metadata? Returns 1, 0, or negative.
 * Flags as above. */
int identity_same (int a_dir, const char *a, int b_dir, const char *b, unsigned flags,
                   struct err *err);

bool digest_equal (const struct digest *a, const struct digest *b);

/* The first eight bytes: a good key for a u64table. */
uint64_t digest_key (const struct digest *digest);

/* 64 lower-case hex digits and a NUL into @text. */
#define DIGEST_TEXT_SIZE 65
void digest_format (const struct digest *digest, char *text);
bool digest_parse (const char *text, struct digest *ret_digest);

#endif
