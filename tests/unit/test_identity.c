/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The serialisation of identities is part of the format on disk: these vectors were made from the
 * words of store/identity.h by another program, and never change. */
#include "test.h"
#include "store/identity.h"
#include <sys/sysmacros.h>

static void assert_identity (const struct stat *st, const struct xattrs *xattrs,
                             const char *contents, unsigned flags, const char *expected)
{
  autohasher struct hasher *hasher = hasher_new ();
  struct digest digest = {0}, id;
  char text[DIGEST_TEXT_SIZE];

  if (contents) {
    hasher_start (hasher);
    hasher_add (hasher, contents, strlen (contents));
    hasher_end (hasher, &digest);
  }
  identity_combine (hasher, st, xattrs, &digest, flags, &id);
  digest_format (&id, text);
  assert_string_equal (text, expected);
}

static void a_regular_file (void **state)
{
  static const struct xattrs none = {0};
  struct stat st = {
      .st_mode = S_IFREG | 04755,
      .st_uid = 1000,
      .st_gid = 1001,
      .st_size = 5,
      .st_mtim = {1700000000, 123456789},
      .st_nlink = 3,
      .st_ino = 12345,
      .st_rdev = 7,
  };

  (void) state;
  assert_identity (&st, &none, "hello", 0,
                   "9bad9a6182ad10e04708b0dddab79a302edf871d43cbaf1d193a7d03728452d4");
  assert_identity (&st, &none, "hello", IDENTITY_ANY_MTIME,
                   "99d022699f8d5db1e5fa39f05e065d3ee46e556dc938805d29e9b52d05d66f67");
  st.st_mtim.tv_nsec = 0;
  assert_identity (&st, &none, "hello", IDENTITY_ANY_MTIME,
                   "99d022699f8d5db1e5fa39f05e065d3ee46e556dc938805d29e9b52d05d66f67");
}

static void extended_attributes (void **state)
{
  struct xattr items[] = {
      {(char *) "security.capability", (void *) "\001\000\000\002", 4},
      {(char *) "user.note", (void *) "", 0},
  };
  struct xattrs xattrs = {items, 2};
  struct stat st = {.st_mode = S_IFREG | 0644, .st_size = 5, .st_mtim = {-1, 0}};

  (void) state;
  assert_identity (&st, &xattrs, "hello", 0,
                   "31be9e572539a4797f545bc6b3501852f500ec6b0228bf84695eab96c3965b3c");
}

static void a_symlink_and_a_device (void **state)
{
  static const struct xattrs none = {0};
  struct stat link = {.st_mode = S_IFLNK | 0777, .st_size = 6, .st_mtim = {1700000000, 0}};
  struct stat device = {
      .st_mode = S_IFCHR | 0666, .st_rdev = makedev (1, 3), .st_mtim = {1700000000, 0}};

  (void) state;
  assert_identity (&link, &none, "target", 0,
                   "4f5fa72fa67726f7f1a9f8015df4c37208ee4baa717667543a16242487d207de");
  assert_identity (&device, &none, NULL, 0,
                   "c935673d6d1cf2cd6cee3733bafcb3657de57dd51c9f28d447b089c34213adb1");
}

static void digests_are_written_and_read (void **state)
{
  static const char hex[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
  struct digest digest, other;
  char text[DIGEST_TEXT_SIZE];

  (void) state;
  assert_true (digest_parse (hex, &digest));
  digest_format (&digest, text);
  assert_string_equal (text, hex);
  assert_true (digest_parse (text, &other));
  assert_true (digest_equal (&digest, &other));
  other.bytes[31] ^= 1;
  assert_false (digest_equal (&digest, &other));
  assert_false (digest_parse ("00", &other));
  text[63] = 'G';
  assert_false (digest_parse (text, &other));
}

static void what_can_be_shared (void **state)
{
  struct stat st = {.st_mode = S_IFREG | 0644, .st_size = 1};

  (void) state;
  assert_true (identity_can_share (&st));
  st.st_size = 0;
  assert_false (identity_can_share (&st));
  st.st_mode = S_IFLNK | 0777;
  assert_true (identity_can_share (&st));
  st.st_mode = S_IFSOCK | 0777;
  assert_false (identity_can_share (&st));
  st.st_mode = S_IFDIR | 0777;
  assert_false (identity_can_share (&st));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_regular_file),         cmocka_unit_test (extended_attributes),
      cmocka_unit_test (a_symlink_and_a_device), cmocka_unit_test (digests_are_written_and_read),
      cmocka_unit_test (what_can_be_shared),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
