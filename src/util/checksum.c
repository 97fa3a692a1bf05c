/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checksum.h"
#include "fd.h"
#include "strbuf.h"
#include "libcrypto.h"
#include <strings.h>

static const struct {
  const char *name;  /* as we write it */
  const char *other; /* another spelling */
  const char *openssl;
  size_t size;
} kinds[] = {
    [CHECKSUM_NONE] = {"none", "", NULL, 0},
    [CHECKSUM_MD5] = {"md5", "md5sum", "MD5", 16},
    [CHECKSUM_SHA1] = {"sha1", "sha-1", "SHA1", 20},
    [CHECKSUM_SHA224] = {"sha224", "sha-224", "SHA224", 28},
    [CHECKSUM_SHA256] = {"sha256", "sha-256", "SHA256", 32},
    [CHECKSUM_SHA384] = {"sha384", "sha-384", "SHA384", 48},
    [CHECKSUM_SHA512] = {"sha512", "sha-512", "SHA512", 64},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

enum checksum_kind checksum_kind_by_name (const char *name)
{
  for (size_t i = CHECKSUM_NONE + 1; i < KINDS; i++)
    if (strcasecmp (name, kinds[i].name) == 0 || strcasecmp (name, kinds[i].other) == 0)
      return (enum checksum_kind) i;
  return strcasecmp (name, "sha") == 0 ? CHECKSUM_SHA1 : CHECKSUM_NONE;
}

const char *checksum_kind_name (enum checksum_kind kind)
{
  return kinds[kind].name;
}

size_t checksum_size (enum checksum_kind kind)
{
  return kinds[kind].size;
}

bool checksum_is_weak (enum checksum_kind kind)
{
  return kind <= CHECKSUM_SHA1;
}

static int any_hex_digit (char c)
{
  return hex_digit (c >= 'A' && c <= 'F' ? (char) (c - 'A' + 'a') : c);
}

int checksum_parse (const char *kind, const char *hex, struct checksum *ret_checksum,
                    struct err *err)
{
  struct checksum checksum = {.kind = checksum_kind_by_name (kind)};
  size_t size = kinds[checksum.kind].size;

  if (!size)
    return err_code (err, ERR_USAGE, "\"%.40s\" is no digest that is known: use sha256 or sha512",
                     kind);
  if (strlen (hex) != 2 * size)
    return err_code (err, ERR_USAGE, "\"%.140s\" is no %s digest: that has %zu hex digits", hex,
                     kinds[checksum.kind].name, 2 * size);
  for (size_t i = 0; i < size; i++) {
    int high = any_hex_digit (hex[2 * i]), low = any_hex_digit (hex[2 * i + 1]);

    if (high < 0 || low < 0)
      return err_code (err, ERR_USAGE, "\"%.140s\" is no %s digest: it has other than hex digits",
                       hex, kinds[checksum.kind].name);
    checksum.bytes[i] = (uint8_t) (high << 4 | low);
  }
  *ret_checksum = checksum;
  return 0;
}

int checksum_parse_tagged (const char *text, struct checksum *ret_checksum, struct err *err)
{
  const char *colon = strchr (text, ':');

  if (!colon)
    return err_code (err, ERR_USAGE, "\"%.140s\" is no digest: write sha256:HEX", text);
  autofree char *kind = xstrndup (text, (size_t) (colon - text));
  return checksum_parse (kind, colon + 1, ret_checksum, err);
}

void checksum_hex (const struct checksum *checksum, char text[static CHECKSUM_TEXT_SIZE])
{
  static const char digits[] = "0123456789abcdef";
  size_t size = kinds[checksum->kind].size;

  for (size_t i = 0; i < size; i++) {
    text[2 * i] = digits[checksum->bytes[i] >> 4];
    text[2 * i + 1] = digits[checksum->bytes[i] & 15];
  }
  text[2 * size] = '\0';
}

void checksum_format (const struct checksum *checksum, char text[static CHECKSUM_TEXT_SIZE])
{
  char hex[CHECKSUM_TEXT_SIZE];

  checksum_hex (checksum, hex);
  snprintf (text, CHECKSUM_TEXT_SIZE, "%s:%.128s", kinds[checksum->kind].name, hex);
}

bool checksum_equal (const struct checksum *a, const struct checksum *b)
{
  return a->kind == b->kind && memcmp (a->bytes, b->bytes, kinds[a->kind].size) == 0;
}

const struct checksum *checksum_strongest (const struct checksum *list, size_t count)
{
  const struct checksum *best = NULL;

  for (size_t i = 0; i < count; i++)
    if (list[i].kind != CHECKSUM_NONE && (!best || list[i].kind > best->kind))
      best = &list[i];
  return best;
}

struct checksummer {
  enum checksum_kind kind[2];
  EVP_MD *md[2];
  EVP_MD_CTX *ctx[2];
};

/* OpenSSL's digests fail for want of memory only, once they are fetched. */
static void require (int ok)
{
  if (ok != 1)
    err_out_of_memory ();
}

int checksummer_new (enum checksum_kind first, enum checksum_kind second,
                     struct checksummer **ret_checksummer, struct err *err)
{
  if (libcrypto_load (err) < 0)
    return -err->code;
  autochecksummer struct checksummer *checksummer = xcalloc (1, sizeof *checksummer);

  checksummer->kind[0] = first;
  checksummer->kind[1] = second;
  for (int i = 0; i < 2; i++) {
    enum checksum_kind kind = checksummer->kind[i];

    if (kind == CHECKSUM_NONE || (i == 1 && second == first))
      continue;
    checksummer->md[i] = libcrypto.EVP_MD_fetch (NULL, kinds[kind].openssl, NULL);
    if (!checksummer->md[i])
      return err_code (err, EOPNOTSUPP, "this host's OpenSSL does not offer %s digests",
                       kinds[kind].name);
    checksummer->ctx[i] = libcrypto.EVP_MD_CTX_new ();
    if (!checksummer->ctx[i])
      err_out_of_memory ();
  }
  checksummer_restart (checksummer);
  *ret_checksummer = steal_ptr (&checksummer);
  return 0;
}

void checksummer_free (struct checksummer *checksummer)
{
  int saved = errno;

  if (!checksummer)
    return;
  for (int i = 0; i < 2; i++) {
    libcrypto.EVP_MD_CTX_free (checksummer->ctx[i]);
    libcrypto.EVP_MD_free (checksummer->md[i]);
  }
  free (checksummer);
  errno = saved;
}

void checksummer_restart (struct checksummer *checksummer)
{
  for (int i = 0; i < 2; i++)
    if (checksummer->ctx[i])
      require (libcrypto.EVP_DigestInit_ex2 (checksummer->ctx[i], checksummer->md[i], NULL));
}

void checksummer_add (struct checksummer *checksummer, const void *data, size_t len)
{
  for (int i = 0; i < 2; i++)
    if (checksummer->ctx[i])
      require (libcrypto.EVP_DigestUpdate (checksummer->ctx[i], data, len));
}

int checksummer_add_file (struct checksummer *checksummer, int fd, uint64_t from, uint64_t to,
                          struct err *err)
{
  enum { CHUNK = 256 << 10 };
  autofree char *buffer = xmalloc (CHUNK);

  while (from < to) {
    size_t want = to - from < CHUNK ? (size_t) (to - from) : CHUNK;
    ssize_t n = pread (fd, buffer, want, (off_t) from);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return err_errno (err, "read");
    if (n == 0)
      return err_code (err, EIO, "read: the file ends too early");
    checksummer_add (checksummer, buffer, (size_t) n);
    from += (uint64_t) n;
  }
  return 0;
}

void checksummer_end (struct checksummer *checksummer, struct checksum *ret_first,
                      struct checksum *ret_second)
{
  struct checksum result[2] = {{0}, {0}};

  for (int i = 0; i < 2; i++)
    if (checksummer->ctx[i]) {
      result[i].kind = checksummer->kind[i];
      require (libcrypto.EVP_DigestFinal_ex (checksummer->ctx[i], result[i].bytes, NULL));
    }
  if (!checksummer->ctx[1] && checksummer->kind[1] == checksummer->kind[0])
    result[1] = result[0];
  *ret_first = result[0];
  if (ret_second)
    *ret_second = result[1];
}
