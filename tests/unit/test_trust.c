/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of digests, signatures, and what gpgv says. */
#include "test.h"
#include "template/edsign.h"
#include "template/net.h"
#include "template/openpgp.h"
#include "template/sums.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void digests_are_found (void **state)
{
  static const struct {
    const char *text;
    int ret;
    char first; /* of the digest */
    enum checksum_kind kind;
  } cases[] = {
      {A "  f\n", 0, 'a', CHECKSUM_SHA256},
      {A " *f", 0, 'a', CHECKSUM_SHA256},
      {A "  ./f\r\n", 0, 'a', CHECKSUM_SHA256},
      {B "  g\n" A "  f\n", 0, 'a', CHECKSUM_SHA256},
      {"SHA256 (f) = " A "\n", 0, 'a', CHECKSUM_SHA256},
      {"# f: 12 bytes\nSHA512 (f) = " B B "\n" A "  f\n", 0, 'b', CHECKSUM_SHA512},
      {A "  f\n" A "  f\n", 0, 'a', CHECKSUM_SHA256},
      {A "  f\n" B "  f\n", -EBADMSG, 0, 0},
      {A "  ff\n", -ENOENT, 0, 0},
      {A "  F\n", -ENOENT, 0, 0},
      {A " f\n", -ENOENT, 0, 0},
      {A "  d/f\n", -ENOENT, 0, 0},
      {"d41d8cd98f00b204e9800998ecf8427e  f\n", -ENOENT, 0, 0},
      {"MD5 (f) = d41d8cd98f00b204e9800998ecf8427e\n", -ENOENT, 0, 0},
      {"SHA256 (f) = xx\n", -ENOENT, 0, 0},
      {"", -ENOENT, 0, 0},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct checksum checksum = {0};
    autoerr struct err err = {0};
    char hex[CHECKSUM_TEXT_SIZE];

    assert_int_equal (sums_find (cases[i].text, strlen (cases[i].text), "f", &checksum, &err),
                      cases[i].ret);
    if (cases[i].ret)
      continue;
    checksum_hex (&checksum, hex);
    assert_int_equal (hex[0], cases[i].first);
    assert_int_equal (checksum.kind, cases[i].kind);
  }
}

/* Made by minisign and signify of "hello\n". */
static const char mini_key[] = "untrusted comment: minisign public key B01A68C2CA3FB500\n"
                               "RWQAtT/KwmgasIAnbYmeZQBcBhXhoI323QBsUAW9OuX9DFIxy31bj2Bo\n";
static const char mini_hashed[] =
    "untrusted comment: signature from minisign secret key\n"
    "RUQAtT/KwmgasGnd8T4wkSSlD+rc60Fji4hLEmB/WjQ4YiFhJ2er/EcRWfCnmKeAZZhMEl9DbnpdQKh+5votSEemE+Lp/"
    "dSFjg0=\n"
    "trusted comment: timestamp:1795639744	file:f	hashed\n"
    "n+rgE2rShOS8zMPD0sufcX6YLlox02HCZaCVWWhJkyNSga88QxNQIoIvmtgEP+sbcjaxh3lrXSWnicAjx60kBg==\n";
static const char mini_plain[] =
    "untrusted comment: signature from minisign secret key\n"
    "RWQAtT/KwmgasDGhPm8QeApg3mLuSvpEYR5BpfsoPuVgZk/Kx8DqtbFRD+O9GM1pBLEu0F/"
    "a8sru6ROR1pqDC6LnloN6qG78qQw=\n"
    "trusted comment: timestamp:1795639744	file:f\n"
    "PhFL57xIjdfqiIHH6+6Kf4J5ZYb7b+nDf+9j57OiLcZQFNz+DKNqtDMj1mgNAL9Uhp/CZfzSGysNCp+cXKI/Dw==\n";
static const char signify_key[] = "untrusted comment: signify public key\n"
                                  "RWRjDYEKBzOFMJRhDcTJRRwEfTHkiE4xRlnUsZYU0no9ahqbxtFwo0+V\n";
static const char signify_sig[] = "untrusted comment: verify with s.pub\n"
                                  "RWRjDYEKBzOFMFevAhglZsF0wIAmXU3JTEFSiq+igNmC6nFYkko8YCTmd69/"
                                  "p1syTZxD56ievLyISJbi5ZZEcuk6Urp5hfrFMQ0=\n";

static int verify (const char *key_text, const char *sig_text, const char *data)
{
  autoedsig struct edsig sig = {0};
  autoerr struct err err = {0};
  struct edkey key;

  if (edkey_parse (key_text, strlen (key_text), "key", &key, &err) < 0 ||
      edsig_parse (sig_text, strlen (sig_text), "sig", &sig, &err) < 0)
    return -err.code;
  return edsig_verify (&sig, &key, data, strlen (data), &err);
}

static void signatures_are_verified (void **state)
{
  autofree char *comment = xstrdup (mini_plain);
  autofree char *bytes = xstrdup (mini_plain);

  (void) state;
  assert_int_equal (verify (mini_key, mini_plain, "hello\n"), 0);
  assert_int_equal (verify (signify_key, signify_sig, "hello\n"), 0);
  assert_int_equal (verify (mini_key, mini_plain, "hellO\n"), -EBADMSG);
  assert_int_equal (verify (signify_key, signify_sig, "hello"), -EBADMSG);
  assert_int_equal (verify (signify_key, mini_plain, "hello\n"), -EBADMSG);
  /* It is of the digest. */
  assert_int_equal (verify (mini_key, mini_hashed, "hello\n"), -EBADMSG);
  strstr (comment, "trusted comment: timestamp")[17] = 'T';
  assert_int_equal (verify (mini_key, comment, "hello\n"), -EBADMSG);
  strchr (bytes, '\n')[20]++;
  assert_int_equal (verify (mini_key, bytes, "hello\n"), -EBADMSG);
  assert_int_equal (verify (mini_key, "", "hello\n"), -EBADMSG);
  assert_int_equal (verify ("RWQ", mini_plain, "hello\n"), -ERR_USAGE);
}

static void gpgv_is_understood (void **state)
{
#define G "[GNUPG:] GOODSIG 12 somebody\n"
#define V "[GNUPG:] VALIDSIG ABCDEF01 2026-01-01 1\n"
  static const struct {
    const char *text, *by;
  } cases[] = {
      {"[GNUPG:] NEWSIG\n" G V, "ABCDEF01"},
      {"[GNUPG:] ERRSIG 34 1 2 3\n[GNUPG:] NO_PUBKEY 34\n" G V, "ABCDEF01"},
      {G V "[GNUPG:] BADSIG 12 somebody\n", NULL},
      {"[GNUPG:] EXPKEYSIG 12 somebody\n" V, NULL},
      {"[GNUPG:] REVKEYSIG 12 somebody\n" V, NULL},
      {"[GNUPG:] EXPSIG 12 somebody\n" V, NULL},
      {V, NULL},
      {G, NULL},
      {"GOODSIG 12\nVALIDSIG AB\n", NULL},
      {"x [GNUPG:] GOODSIG 12\nx [GNUPG:] VALIDSIG AB\n", NULL},
      {"", NULL},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autoerr struct err err = {0};
    autofree char *by = openpgp_judge (cases[i].text, &err);

    if (cases[i].by) {
      assert_non_null (by);
      assert_string_equal (by, cases[i].by);
    } else {
      assert_null (by);
      assert_int_equal (err.code, EBADMSG);
    }
  }
}

static void armor_is_taken_off (void **state)
{
  static const char armored[] = "text\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\n"
                                "aGVsbG8gd29y\nbGQ=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
  autoerr struct err err = {0};
  size_t len = 0;
  autofree unsigned char *bytes = openpgp_dearmor (armored, strlen (armored), &len, &err);

  (void) state;
  assert_non_null (bytes);
  assert_int_equal (len, 11);
  assert_memory_equal (bytes, "hello world", 11);
  assert_null (openpgp_dearmor (armored, strlen (armored) - 40, &len, &err));
  assert_int_equal (err.code, ERR_USAGE);
  assert_null (openpgp_dearmor ("", 0, &len, &err));
}

static void names_are_resolved (void **state)
{
  static const struct {
    const char *base, *reference, *url;
  } cases[] = {
      {"http://h/a/b.tar?x=/y", "SUMS", "http://h/a/SUMS"},
      {"http://h", "SUMS", "http://h/SUMS"},
      {"http://h?q", "SUMS", "http://h/SUMS"},
      {"https://h:1/a/b", "/c/d", "https://h:1/c/d"},
      {"https://h/a/b", "http://i/x", "http://i/x"},
      {"/srv/a?b.tar", "SUMS", "/srv/SUMS"},
      {"/srv/b.tar", "/etc/SUMS", "/etc/SUMS"},
      {"/srv/b.tar", "https://i/x", "https://i/x"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autofree char *url = net_resolve (cases[i].base, cases[i].reference);

    assert_string_equal (url, cases[i].url);
  }
  autofree char *name = net_base_name ("http://h/a/b.tar.xz?c/d");
  autofree char *path = net_base_name ("/a/b?c");
  assert_string_equal (name, "b.tar.xz");
  assert_string_equal (path, "b?c");
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (digests_are_found),  cmocka_unit_test (signatures_are_verified),
      cmocka_unit_test (gpgv_is_understood), cmocka_unit_test (armor_is_taken_off),
      cmocka_unit_test (names_are_resolved),
  };

  return cmocka_run_group_tests_name ("test_trust", tests, NULL, NULL);
}
