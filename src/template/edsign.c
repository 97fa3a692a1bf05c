/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "edsign.h"
#include "util/libcrypto.h"

enum { HEAD = 2 + EDSIGN_NUMBER, DECODED_MAX = HEAD + 64 };

static const char trusted_prefix[] = "trusted comment: ";

/* Exactly @len bytes from base64 in @text. */
static bool decode (const char *text, size_t text_len, uint8_t *bytes, size_t len)
{
  uint8_t decoded[DECODED_MAX + 2];
  size_t padding = (3 - len % 3) % 3;

  if (text_len != (len + padding) / 3 * 4 || len + padding > sizeof decoded)
    return false;
  for (size_t i = 0; i < text_len; i++)
    if ((text[i] == '=') != (i >= text_len - padding))
      return false;
  if (libcrypto.EVP_DecodeBlock (decoded, (const unsigned char *) text, (int) text_len) !=
      (int) (len + padding))
    return false;
  memcpy (bytes, decoded, len);
  return true;
}

/* The line at *@at, without its end; *@at goes behind it. False at the end. */
static bool next_line (const char *text, size_t len, size_t *at, const char **ret_line,
                       size_t *ret_len)
{
  if (*at >= len)
    return false;
  const char *end = memchr (text + *at, '\n', len - *at);
  *ret_line = text + *at;
  *ret_len = end ? (size_t) (end - *ret_line) : len - *at;
  *at += *ret_len + 1;
  if (*ret_len && (*ret_line)[*ret_len - 1] == '\r')
    (*ret_len)--;
  return true;
}

/* The line behind the comment that both kinds of file begin with. */
static bool body_line (const char *text, size_t len, size_t *at, const char **ret_line,
                       size_t *ret_len)
{
  static const char comment[] = "untrusted comment:";

  if (!next_line (text, len, at, ret_line, ret_len))
    return false;
  if (*ret_len < strlen (comment) || memcmp (*ret_line, comment, strlen (comment)) != 0)
    return true;
  return next_line (text, len, at, ret_line, ret_len);
}

int edkey_parse (const char *text, size_t len, const char *what, struct edkey *ret_key,
                 struct err *err)
{
  uint8_t bytes[HEAD + sizeof ret_key->bytes];
  const char *line = NULL;
  size_t at = 0, line_len = 0;

  if (libcrypto_load (err) < 0)
    return -err->code;
  if (!body_line (text, len, &at, &line, &line_len) ||
      !decode (line, line_len, bytes, sizeof bytes) || memcmp (bytes, "Ed", 2) != 0)
    return err_code (err, ERR_USAGE, "%s is no public key of minisign or signify", what);
  memcpy (ret_key->number, bytes + 2, EDSIGN_NUMBER);
  memcpy (ret_key->bytes, bytes + HEAD, sizeof ret_key->bytes);
  return 0;
}

/* minisign's two further lines. True also when they are not there. */
static bool parse_trusted (const char *text, size_t len, size_t at, struct edsig *sig)
{
  size_t prefix = strlen (trusted_prefix), line_len = 0;
  const char *line = NULL;

  if (!next_line (text, len, &at, &line, &line_len) || !line_len)
    return true;
  if (line_len < prefix || memcmp (line, trusted_prefix, prefix) != 0 ||
      memchr (line, '\0', line_len))
    return false;
  const char *comment = line + prefix;
  size_t comment_len = line_len - prefix;
  if (!next_line (text, len, &at, &line, &line_len) ||
      !decode (line, line_len, sig->whole, sizeof sig->whole))
    return false;
  sig->trusted = xstrndup (comment, comment_len);
  return true;
}

int edsig_parse (const char *text, size_t len, const char *what, struct edsig *ret_sig,
                 struct err *err)
{
  autoedsig struct edsig sig = {0};
  uint8_t bytes[HEAD + sizeof sig.bytes];
  const char *line = NULL;
  size_t at = 0, line_len = 0;

  if (libcrypto_load (err) < 0)
    return -err->code;
  if (len > EDSIGN_FILE_MAX || !body_line (text, len, &at, &line, &line_len) ||
      !decode (line, line_len, bytes, sizeof bytes) ||
      (memcmp (bytes, "Ed", 2) != 0 && memcmp (bytes, "ED", 2) != 0) ||
      !parse_trusted (text, len, at, &sig))
    return err_code (err, EBADMSG, "%s is no signature of minisign or signify", what);
  sig.prehashed = bytes[1] == 'D';
  memcpy (sig.number, bytes + 2, EDSIGN_NUMBER);
  memcpy (sig.bytes, bytes + HEAD, sizeof sig.bytes);
  *ret_sig = sig;
  sig.trusted = NULL;
  return 0;
}

void edsig_release (struct edsig *sig)
{
  cleanup_free (&sig->trusted);
  sig->trusted = NULL;
}

static bool verify (const struct edkey *key, const uint8_t signature[static 64], const void *data,
                    size_t len)
{
  EVP_PKEY *pkey =
      libcrypto.EVP_PKEY_new_raw_public_key (EVP_PKEY_ED25519, NULL, key->bytes, sizeof key->bytes);
  EVP_MD_CTX *ctx = libcrypto.EVP_MD_CTX_new ();

  bool good = pkey && ctx && libcrypto.EVP_DigestVerifyInit (ctx, NULL, NULL, NULL, pkey) == 1 &&
              libcrypto.EVP_DigestVerify (ctx, signature, 64, data, len) == 1;
  libcrypto.EVP_MD_CTX_free (ctx);
  libcrypto.EVP_PKEY_free (pkey);
  return good;
}

int edsig_verify (const struct edsig *sig, const struct edkey *key, const void *data, size_t len,
                  struct err *err)
{
  char expected[17], found[17];

  if (libcrypto_load (err) < 0)
    return -err->code;
  if (memcmp (sig->number, key->number, EDSIGN_NUMBER) != 0) {
    edkey_number (key->number, expected);
    edkey_number (sig->number, found);
    return err_code (err, EBADMSG, "it is signed with the key %s, and %s is expected", found,
                     expected);
  }
  if (!verify (key, sig->bytes, data, len))
    return err_code (err, EBADMSG, "the signature is wrong");
  if (!sig->trusted)
    return 0;
  size_t comment_len = strlen (sig->trusted);
  autofree uint8_t *whole = xmalloc (sizeof sig->bytes + comment_len);
  memcpy (whole, sig->bytes, sizeof sig->bytes);
  memcpy (whole + sizeof sig->bytes, sig->trusted, comment_len);
  if (!verify (key, sig->whole, whole, sizeof sig->bytes + comment_len))
    return err_code (err, EBADMSG, "the signature of its trusted comment is wrong");
  return 0;
}

void edkey_number (const uint8_t number[static EDSIGN_NUMBER], char text[static 17])
{
  for (size_t i = 0; i < EDSIGN_NUMBER; i++)
    snprintf (text + 2 * i, 3, "%02X", number[EDSIGN_NUMBER - 1 - i]);
}
