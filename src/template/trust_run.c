/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verifying one file while its bytes pass by. */
#include "template/net.h"
#include "template/openpgp.h"
#include "template/sums.h"
#include "trust_internal.h"
#include "util/fd.h"
#include "util/libcrypto.h"
#include <sys/mman.h>

enum { SUMS_MAX = 16 << 20, SIGNATURE_MAX = 1 << 20 };

struct trust_run {
  const struct trust *trust;   /* borrowed */
  struct import *import;       /* borrowed */
  char *name;                  /* owned; of the file */
  struct checksum expected[3]; /* of definition and sums */
  size_t expected_count;
  struct checksummer *sum;      /* owned */
  struct checksummer *combined; /* owned; NULL: not asked for */
  enum checksum_kind strongest; /* of what is expected; CHECKSUM_NONE */
  struct edsig edsig;           /* owned */
  struct edkey edkey;
  EVP_MD_CTX *blake; /* owned; for prehashed signatures */
  struct openpgp openpgp;
};

static void note (struct import *import, enum import_vouch vouch, const char *what, const char *how,
                  const char *by)
{
  if (import)
    import_note_verified (import, vouch, what, how, by);
}

static int get_signature (const struct trust *trust, struct fetch *fetch, const char *location,
                          char **ret_data, size_t *ret_len, struct err *err)
{
  autofree char *url = net_resolve (location, trust->signature);

  if (net_get (fetch, url, SIGNATURE_MAX, ret_data, ret_len, err) < 0)
    return err_wrap (err, "the signature");
  return 0;
}

static int parse_edsig (const struct trust *trust, const char *data, size_t len,
                        struct edsig *ret_sig, struct edkey *ret_key, struct err *err)
{
  if (edsig_parse (data, len, "the signature", ret_sig, err) < 0 ||
      trust_find_key (trust, ret_sig, ret_key, err) < 0)
    return -err->code;
  if (trust->type == TRUST_MINISIGN && !ret_sig->trusted)
    return err_code (err, EBADMSG, "it is no signature of minisign: it has no trusted comment");
  return 0;
}

static EVP_MD_CTX *new_blake (struct err *err)
{
  if (libcrypto_load (err) < 0)
    return NULL;
  EVP_MD_CTX *ctx = libcrypto.EVP_MD_CTX_new ();

  if (!ctx)
    err_out_of_memory ();
  if (libcrypto.EVP_DigestInit_ex (ctx, libcrypto.EVP_blake2b512 (), NULL) == 1)
    return ctx;
  libcrypto.EVP_MD_CTX_free (ctx);
  err_code (err, EOPNOTSUPP, "OpenSSL has no BLAKE2b-512, which the signature is of");
  return NULL;
}

static int verify_edsig (const struct edsig *sig, const struct edkey *key, const void *data,
                         size_t len, const char *what, struct import *import, struct err *err)
{
  char number[17];

  if (edsig_verify (sig, key, data, len, err) < 0)
    return err_wrap (err, "%s does not verify", what);
  edkey_number (key->number, number);
  note (import, IMPORT_VOUCH_SIGNATURE, what, sig->trusted ? "minisign" : "signify", number);
  return 0;
}

static int document_edsign (const struct trust *trust, const char *signature, size_t signature_len,
                            const char *what, struct import *import, const char *data, size_t len,
                            struct err *err)
{
  autoedsig struct edsig sig = {0};
  uint8_t digest[EDSIGN_DIGEST];
  struct edkey key;

  if (parse_edsig (trust, signature, signature_len, &sig, &key, err) < 0)
    return err_wrap (err, "%s does not verify", what);
  if (!sig.prehashed)
    return verify_edsig (&sig, &key, data, len, what, import, err);
  EVP_MD_CTX *blake = new_blake (err);
  if (!blake)
    return -err->code;
  bool hashed = libcrypto.EVP_DigestUpdate (blake, data, len) == 1 &&
                libcrypto.EVP_DigestFinal_ex (blake, digest, NULL) == 1;
  libcrypto.EVP_MD_CTX_free (blake);
  if (!hashed)
    err_out_of_memory ();
  return verify_edsig (&sig, &key, digest, sizeof digest, what, import, err);
}

static int document_openpgp (const struct trust *trust, const char *signature, size_t signature_len,
                             char **data, size_t *len, char **ret_by, struct err *err)
{
  autofree char *keyring = trust_key_path (trust->keyring);
  autoopenpgp struct openpgp openpgp = OPENPGP_INIT;
  char *text = NULL;

  if (signature)
    return openpgp_start (keyring, signature, signature_len, &openpgp, err) < 0 ||
                   openpgp_add (&openpgp, *data, *len, err) < 0 ||
                   openpgp_end (&openpgp, ret_by, err) < 0
               ? -err->code
               : 0;
  if (openpgp_open (keyring, *data, *len, &text, len, ret_by, err) < 0)
    return -err->code;
  free (*data);
  *data = text;
  return 0;
}

int trust_document (const struct trust *trust, struct fetch *fetch, const char *location,
                    const char *what, struct import *import, char **data, size_t *len,
                    struct err *err)
{
  autofree char *signature = NULL, *by = NULL;
  size_t signature_len = 0;

  if (trust->type == TRUST_NONE)
    return 0;
  if (trust->signature &&
      get_signature (trust, fetch, location, &signature, &signature_len, err) < 0)
    return err_wrap (err, "%s does not verify", what);
  if (trust->type != TRUST_OPENPGP)
    return document_edsign (trust, signature ? signature : "", signature_len, what, import, *data,
                            *len, err);
  if (document_openpgp (trust, signature, signature_len, data, len, &by, err) < 0)
    return err_wrap (err, "%s does not verify", what);
  note (import, IMPORT_VOUCH_SIGNATURE, what, "openpgp", by);
  return 0;
}

static int read_sums (struct trust_run *run, struct fetch *fetch, const char *location,
                      struct err *err)
{
  const struct trust *trust = run->trust;
  autofree char *url = net_resolve (location, trust->sums);
  autofree char *what = net_base_name (url);
  autofree char *text = NULL;
  size_t len = 0;

  if (net_get (fetch, url, SUMS_MAX, &text, &len, err) < 0)
    return err_wrap (err, "the digests");
  if (trust->of_sums && trust_document (trust, fetch, url, what, run->import, &text, &len, err) < 0)
    return -err->code;
  const char *name = trust->sums_name ? trust->sums_name : run->name;
  if (sums_find (text, len, name, &run->expected[run->expected_count], err) < 0)
    return err_wrap (err, "%s", what);
  run->expected_count++;
  return 0;
}

/* The signature of the file itself. */
static int begin_signature (struct trust_run *run, struct fetch *fetch, const char *location,
                            struct err *err)
{
  const struct trust *trust = run->trust;
  autofree char *data = NULL;
  size_t len = 0;

  if (get_signature (trust, fetch, location, &data, &len, err) < 0)
    return -err->code;
  if (trust->type == TRUST_OPENPGP) {
    autofree char *keyring = trust_key_path (trust->keyring);

    return openpgp_start (keyring, data, len, &run->openpgp, err);
  }
  if (parse_edsig (trust, data, len, &run->edsig, &run->edkey, err) < 0)
    return -err->code;
  if (run->edsig.prehashed && !(run->blake = new_blake (err)))
    return -err->code;
  return 0;
}

static int begin_combined (struct trust_run *run, struct err *err)
{
  const struct trust *trust = run->trust;

  if (trust->combined.kind == CHECKSUM_NONE)
    return 0;
  if (checksummer_new (trust->combined.kind, CHECKSUM_NONE, &run->combined, err) < 0)
    return -err->code;
  checksummer_add (run->combined, trust->before, trust->before_len);
  return 0;
}

int trust_begin (const struct trust *trust, struct fetch *fetch, const char *location,
                 struct import *import, struct trust_run **ret_run, struct err *err)
{
  autotrustrun struct trust_run *run = xcalloc (1, sizeof *run);

  *run = (struct trust_run){
      .trust = trust, .import = import, .name = net_base_name (location), .openpgp = OPENPGP_INIT};
  for (size_t i = 0; i < trust->digest_count; i++)
    run->expected[run->expected_count++] = trust->digests[i];
  if (trust->sums && read_sums (run, fetch, location, err) < 0)
    return -err->code;
  if (trust->type != TRUST_NONE && !trust->of_sums &&
      begin_signature (run, fetch, location, err) < 0)
    return err_wrap (err, "%s does not verify", run->name);
  const struct checksum *strongest = checksum_strongest (run->expected, run->expected_count);
  run->strongest = strongest ? strongest->kind : CHECKSUM_NONE;
  if (checksummer_new (CHECKSUM_SHA256, run->strongest, &run->sum, err) < 0)
    return -err->code;
  if (begin_combined (run, err) < 0)
    return -err->code;
  *ret_run = steal_ptr (&run);
  return 0;
}

const struct checksum *trust_expected (const struct trust_run *run, size_t *ret_count)
{
  *ret_count = run->expected_count;
  return run->expected;
}

bool trust_needs_file (const struct trust_run *run)
{
  return !run->trust->of_sums &&
         (run->trust->type == TRUST_MINISIGN || run->trust->type == TRUST_SIGNIFY) &&
         !run->edsig.prehashed;
}

int trust_add (struct trust_run *run, const void *data, size_t len, struct err *err)
{
  checksummer_add (run->sum, data, len);
  if (run->combined)
    checksummer_add (run->combined, data, len);
  if (run->blake && libcrypto.EVP_DigestUpdate (run->blake, data, len) != 1)
    err_out_of_memory ();
  return run->openpgp.pid > 0 ? openpgp_add (&run->openpgp, data, len, err) : 0;
}

static int mismatch (const struct trust_run *run, const char *what, const struct checksum *expected,
                     const struct checksum *found, struct err *err)
{
  char expected_text[CHECKSUM_TEXT_SIZE], found_text[CHECKSUM_TEXT_SIZE];

  checksum_format (expected, expected_text);
  checksum_format (found, found_text);
  return err_code (err, EBADMSG, "%s does not verify: expected is %s%s, found is %s", run->name,
                   what, expected_text, found_text);
}

static int compare_combined (struct trust_run *run, struct err *err)
{
  char hex[CHECKSUM_TEXT_SIZE];
  struct checksum found;

  if (!run->combined)
    return 0;
  checksummer_end (run->combined, &found, NULL);
  if (!checksum_equal (&found, &run->trust->combined))
    return mismatch (run, "with its metadata ", &run->trust->combined, &found, err);
  checksum_hex (&found, hex);
  note (run->import, IMPORT_VOUCH_DIGEST, run->name, "sha256 with its metadata", hex);
  return 0;
}

static int compare (struct trust_run *run, const struct checksum *sha256,
                    const struct checksum *strongest, struct err *err)
{
  for (size_t i = 0; i < run->expected_count; i++) {
    const struct checksum *expected = &run->expected[i];
    const struct checksum *found = expected->kind == CHECKSUM_SHA256 ? sha256 : strongest;
    char expected_text[CHECKSUM_TEXT_SIZE];

    /* What is weaker than the strongest, and no SHA-256, was not computed. */
    if (found->kind != expected->kind)
      continue;
    if (!checksum_equal (expected, found))
      return mismatch (run, "", expected, found, err);
    checksum_hex (expected, expected_text);
    note (run->import, IMPORT_VOUCH_DIGEST, run->name, checksum_kind_name (expected->kind),
          expected_text);
  }
  return 0;
}

/* A signature of the whole file, as the older programs make them. */
static int verify_mapped (struct trust_run *run, int file_fd, struct err *err)
{
  struct stat st;

  if (file_fd < 0 || fstat (file_fd, &st) < 0)
    return err_code (err, EBADMSG, "%s: the signature needs the complete file", run->name);
  if (!st.st_size)
    return err_code (err, EBADMSG, "%s is empty", run->name);
  void *data = mmap (NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, file_fd, 0);
  if (data == MAP_FAILED)
    return err_errno (err, "map %s", run->name);
  int ret = verify_edsig (&run->edsig, &run->edkey, data, (size_t) st.st_size, run->name,
                          run->import, err);
  munmap (data, (size_t) st.st_size);
  return ret;
}

static int end_signature (struct trust_run *run, int file_fd, struct err *err)
{
  uint8_t digest[EDSIGN_DIGEST];
  autofree char *by = NULL;

  if (run->trust->type == TRUST_NONE || run->trust->of_sums)
    return 0;
  if (run->trust->type == TRUST_OPENPGP) {
    if (openpgp_end (&run->openpgp, &by, err) < 0)
      return err_wrap (err, "%s does not verify", run->name);
    note (run->import, IMPORT_VOUCH_SIGNATURE, run->name, "openpgp", by);
    return 0;
  }
  if (!run->blake)
    return verify_mapped (run, file_fd, err);
  if (libcrypto.EVP_DigestFinal_ex (run->blake, digest, NULL) != 1)
    err_out_of_memory ();
  return verify_edsig (&run->edsig, &run->edkey, digest, sizeof digest, run->name, run->import,
                       err);
}

int trust_end (struct trust_run *run, int file_fd, struct checksum *ret_sha256, struct err *err)
{
  struct checksum sha256, strongest;

  checksummer_end (run->sum, &sha256, &strongest);
  if (run->strongest == CHECKSUM_SHA256)
    strongest = sha256;
  if (compare (run, &sha256, &strongest, err) < 0 || compare_combined (run, err) < 0 ||
      end_signature (run, file_fd, err) < 0)
    return -err->code;
  if (ret_sha256)
    *ret_sha256 = sha256;
  return 0;
}

void trust_run_free (struct trust_run *run)
{
  free (run->name);
  checksummer_free (run->sum);
  checksummer_free (run->combined);
  edsig_release (&run->edsig);
  if (run->blake)
    libcrypto.EVP_MD_CTX_free (run->blake);
  openpgp_release (&run->openpgp);
  free (run);
}
