/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ed25519 signatures as minisign and signify write them.
 *
 * Both have files of two lines: a comment, and base64 of "Ed", the key's number, and the key or
 * the signature. minisign adds a "trusted comment" and a signature over both, and signs with "ED"
 * the BLAKE2b-512 of a file instead of the file. */
#ifndef VG_TEMPLATE_EDSIGN_H
#define VG_TEMPLATE_EDSIGN_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stdint.h>

enum { EDSIGN_FILE_MAX = 64 << 10, EDSIGN_NUMBER = 8, EDSIGN_DIGEST = 64 };

struct edkey {
  uint8_t number[EDSIGN_NUMBER];
  uint8_t bytes[32];
};

struct edsig {
  bool prehashed; /* it is of the BLAKE2b-512 */
  uint8_t number[EDSIGN_NUMBER];
  uint8_t bytes[64];
  char *trusted;     /* owned; minisign's trusted comment, or NULL */
  uint8_t whole[64]; /* the signature over bytes and that */
};
#define autoedsig __attribute__ ((cleanup (edsig_release)))

/* A key's file, or its base64 alone. ERR_USAGE for what is none. */
int edkey_parse (const char *text, size_t len, const char *what, struct edkey *ret_key,
                 struct err *err);

/* A signature's file. EBADMSG for what is none. */
int edsig_parse (const char *text, size_t len, const char *what, struct edsig *ret_sig,
                 struct err *err);
void edsig_release (struct edsig *sig);

/* Was it made with @key? @data is the file, or its digest when it is prehashed. EBADMSG. */
int edsig_verify (const struct edsig *sig, const struct edkey *key, const void *data, size_t len,
                  struct err *err);

/* The number as both programs show it: 16 hex digits and NUL into @text. */
void edkey_number (const uint8_t number[static EDSIGN_NUMBER], char text[static 17]);

#endif
