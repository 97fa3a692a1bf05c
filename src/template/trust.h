/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why what was fetched is believed: digests, files of digests, signatures.
 *
 * Keys of a source that has them (TRUST_KEYS):
 *   sha256, sha512   the file's digest
 *   sums             a file of digests: a URL, or a name beside the file
 *   sums_name        what the file is called in there; default: the last part of its URL
 *   signature        an object:
 *     type           "openpgp", "minisign" or "signify"
 *     of             "sums" or "file"; default: sums where there are sums
 *     url            where it is, or a name beside what it is of; missing: the sums are signed in
 *                    themselves (openpgp only)
 *     keyring        for openpgp: a file of keys
 *     key            for the others: base64, or a file. Missing: any *.pub below the keys directory
 * Files of keys are named by an absolute path, or below SYSCONFDIR/vguest/keys ($VGUEST_KEYS).
 *
 * Life cycle: trust_parse; trust_begin before the file is fetched, trust_add with its bytes in
 * order, trust_end; nothing of the file may be published before. */
#ifndef VG_TEMPLATE_TRUST_H
#define VG_TEMPLATE_TRUST_H

#include "template/check.h"
#include "template/import.h"
#include "util/checksum.h"
#include "util/fetch.h"

enum trust_type { TRUST_NONE, TRUST_OPENPGP, TRUST_MINISIGN, TRUST_SIGNIFY };

struct trust {
  struct checksum digests[2]; /* as given */
  size_t digest_count;
  char *sums;      /* owned; NULL */
  char *sums_name; /* owned; NULL */
  enum trust_type type;
  bool of_sums;
  char *signature; /* owned; NULL: inline */
  char *keyring;   /* owned; NULL */
  char *key;       /* owned; NULL: any */

  /* Of kinds, not of definitions: the digest of some bytes with the file behind them, as image
   * servers have it of metadata and image. CHECKSUM_NONE: none. */
  struct checksum combined;
  const void *before; /* borrowed */
  size_t before_len;
};

/* For the list of a kind's keys. */
#define TRUST_KEYS "sha256", "sha512", "sums", "sums_name", "signature"

/* Fills a zeroed one; what is wrong is noted. */
void trust_parse (struct check *check, json_object *source, struct trust *trust);
void trust_release (struct trust *trust);

/* Notes a name of a file of keys that leads out of the directory of keys. NULL is right. */
void trust_check_key_file (struct check *check, const char *key, const char *file);

/* Where a file of keys is: the caller's. */
char *trust_key_path (const char *file);

/* One file on its way. */
struct trust_run;

/* @location is where the file comes from, a URL or an absolute path: names are looked for beside
 * it. Fetches and verifies what tells about it. @import is told what was verified. */
int trust_begin (const struct trust *trust, struct fetch *fetch, const char *location,
                 struct import *import, struct trust_run **ret_run, struct err *err);

/* The digests that it must have; @ret_count may be 0. Borrowed. */
const struct checksum *trust_expected (const struct trust_run *run, size_t *ret_count);

/* Can the signature be verified only of a complete file, by trust_end with its descriptor? */
bool trust_needs_file (const struct trust_run *run);

int trust_add (struct trust_run *run, const void *data, size_t len, struct err *err);

/* All bytes were there. @file_fd is the complete file, or -1. @sha256, which may be NULL, gets the
 * digest of the bytes. EBADMSG names what was expected and found. */
int trust_end (struct trust_run *run, int file_fd, struct checksum *ret_sha256, struct err *err);

void trust_run_free (struct trust_run *run);
static inline void cleanup_trust_run (struct trust_run **run)
{
  if (*run)
    trust_run_free (*run);
}
#define autotrustrun __attribute__ ((cleanup (cleanup_trust_run)))

/* Verifies a document that is in memory, such as an index: with @trust->signature of it, found
 * beside @location. *@data is replaced by what was signed where the signature is inline. Notes it
 * as @what. With type TRUST_NONE nothing is done. @import may be NULL. */
int trust_document (const struct trust *trust, struct fetch *fetch, const char *location,
                    const char *what, struct import *import, char **data, size_t *len,
                    struct err *err);

#endif
