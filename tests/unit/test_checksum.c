/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/checksum.h: known answers, what is no digest, two in one pass. */
#include "test.h"
#include "util/checksum.h"
#include "util/fd.h"

#define ABC_MD5 "900150983cd24fb0d6963f7d28e17f72"
#define ABC_SHA1 "a9993e364706816aba3e25717850c26c9cd0d89d"
#define ABC_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void names_of_kinds (void **state)
{
  (void) state;
  assert_int_equal (checksum_kind_by_name ("sha256"), CHECKSUM_SHA256);
  assert_int_equal (checksum_kind_by_name ("SHA256"), CHECKSUM_SHA256);
  assert_int_equal (checksum_kind_by_name ("SHA-512"), CHECKSUM_SHA512);
  assert_int_equal (checksum_kind_by_name ("sha"), CHECKSUM_SHA1);
  assert_int_equal (checksum_kind_by_name ("MD5Sum"), CHECKSUM_MD5);
  assert_int_equal (checksum_kind_by_name ("none"), CHECKSUM_NONE);
  assert_int_equal (checksum_kind_by_name (""), CHECKSUM_NONE);
  assert_int_equal (checksum_kind_by_name ("crc32"), CHECKSUM_NONE);
  assert_true (checksum_is_weak (CHECKSUM_MD5) && checksum_is_weak (CHECKSUM_SHA1) &&
               checksum_is_weak (CHECKSUM_NONE));
  assert_false (checksum_is_weak (CHECKSUM_SHA224) || checksum_is_weak (CHECKSUM_SHA512));
}

static void reads_what_it_writes (void **state)
{
  struct checksum checksum;
  char text[CHECKSUM_TEXT_SIZE];
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (checksum_parse ("SHA256", ABC_SHA256, &checksum, &err), 0);
  checksum_format (&checksum, text);
  assert_string_equal (text, "sha256:" ABC_SHA256);
  checksum_hex (&checksum, text);
  assert_string_equal (text, ABC_SHA256);
  assert_int_equal (checksum_parse_tagged ("md5:900150983CD24FB0D6963F7D28E17F72", &checksum, &err),
                    0);
  checksum_format (&checksum, text);
  assert_string_equal (text, "md5:" ABC_MD5);
}

static void refuses_what_is_no_digest (void **state)
{
  static const char *const bad[] = {"",
                                    ":",
                                    "sha256",
                                    "sha256:",
                                    "sha256:" ABC_MD5,
                                    "sha256:" ABC_SHA256 "00",
                                    "x:" ABC_MD5,
                                    "md5:900150983cd24fb0d6963f7d28e17fg2",
                                    "md5: 00150983cd24fb0d6963f7d28e17f72"};
  struct checksum checksum;
  autoerr struct err err = {0};

  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (checksum_parse_tagged (bad[i], &checksum, &err), -ERR_USAGE);
}

static void the_strongest_decides (void **state)
{
  const struct checksum list[] = {{.kind = CHECKSUM_SHA1},
                                  {.kind = CHECKSUM_SHA512},
                                  {.kind = CHECKSUM_NONE},
                                  {.kind = CHECKSUM_SHA256}};

  (void) state;
  assert_ptr_equal (checksum_strongest (list, 4), &list[1]);
  assert_ptr_equal (checksum_strongest (list, 1), &list[0]);
  assert_null (checksum_strongest (&list[2], 1));
  assert_null (checksum_strongest (NULL, 0));
}

static void assert_digest (const struct checksum *checksum, const char *kind, const char *hex)
{
  struct checksum expected;
  autoerr struct err err = {0};

  assert_int_equal (checksum_parse (kind, hex, &expected, &err), 0);
  assert_true (checksum_equal (checksum, &expected));
}

static void known_answers (void **state)
{
  autochecksummer struct checksummer *both = NULL, *same = NULL, *none = NULL;
  struct checksum first, second;
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (checksummer_new (CHECKSUM_SHA1, CHECKSUM_SHA256, &both, &err), 0);
  checksummer_add (both, "a", 1);
  checksummer_add (both, "", 0);
  checksummer_add (both, "bc", 2);
  checksummer_end (both, &first, &second);
  assert_digest (&first, "sha1", ABC_SHA1);
  assert_digest (&second, "sha256", ABC_SHA256);
  checksummer_restart (both);
  checksummer_end (both, &first, &second);
  assert_digest (&second, "sha256", EMPTY_SHA256);

  assert_int_equal (checksummer_new (CHECKSUM_SHA256, CHECKSUM_SHA256, &same, &err), 0);
  checksummer_add (same, "abc", 3);
  checksummer_end (same, &first, &second);
  assert_digest (&first, "sha256", ABC_SHA256);
  assert_digest (&second, "sha256", ABC_SHA256);

  assert_int_equal (checksummer_new (CHECKSUM_NONE, CHECKSUM_NONE, &none, &err), 0);
  checksummer_add (none, "abc", 3);
  checksummer_end (none, &first, NULL);
  assert_int_equal (first.kind, CHECKSUM_NONE);
}

static void parts_of_a_file (void **state)
{
  autochecksummer struct checksummer *checksummer = NULL;
  autoclose int fd = open ("/tmp", O_TMPFILE | O_RDWR, 0600);
  struct checksum checksum;
  autoerr struct err err = {0};

  (void) state;
  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, "xabcx", 5), 0);
  assert_int_equal (checksummer_new (CHECKSUM_SHA256, CHECKSUM_NONE, &checksummer, &err), 0);
  assert_int_equal (checksummer_add_file (checksummer, fd, 1, 4, &err), 0);
  checksummer_end (checksummer, &checksum, NULL);
  assert_digest (&checksum, "sha256", ABC_SHA256);
  checksummer_restart (checksummer);
  assert_int_equal (checksummer_add_file (checksummer, fd, 1, 6, &err), -EIO);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (names_of_kinds),
      cmocka_unit_test (reads_what_it_writes),
      cmocka_unit_test (refuses_what_is_no_digest),
      cmocka_unit_test (the_strongest_decides),
      cmocka_unit_test (known_answers),
      cmocka_unit_test (parts_of_a_file),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
