/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "pkg/apt_release.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char plain[] = "Origin: Debian\n"
                            "Suite: stable\n"
                            "Date: Tue, 24 Nov 2026 00:34:33 UTC\n"
                            "Description: a text\n of two lines\n"
                            "MD5Sum:\n"
                            " d41d8cd98f00b204e9800998ecf8427e        0 main/Contents-all\n"
                            "SHA256:\n"
                            " " B "  170   main/i18n/Translation-en_GB\n"
                            " " A "   12 main/binary-amd64/Packages\n"
                            "Components: main\n";

static int parse (const char *text, struct apt_release *release)
{
  autoerr struct err err = {0};

  return apt_release_parse (text, strlen (text), release, &err);
}

static struct apt_release_word word (const char *text)
{
  return (struct apt_release_word){text, strlen (text)};
}

static void check_plain (const struct apt_release *release)
{
  const struct apt_release_word packages = word ("main/binary-amd64/Packages");
  const struct apt_release_word *origin = &release->fields[APT_RELEASE_ORIGIN];
  const struct apt_release_file *file = apt_release_find (release, &packages);
  const struct apt_release_word none = word ("main/binary-amd64/Package");
  char hex[CHECKSUM_TEXT_SIZE];

  assert_int_equal (release->count, 2);
  assert_non_null (file);
  assert_int_equal (file->size, 12);
  checksum_hex (&file->sum, hex);
  assert_string_equal (hex, A);
  assert_null (apt_release_find (release, &none));
  assert_int_equal (origin->len, 6);
  assert_memory_equal (origin->text, "Debian", 6);
  assert_null (release->fields[APT_RELEASE_LABEL].text);
}

static void a_release_file_is_read (void **state)
{
  autoaptrelease struct apt_release release = {0};

  (void) state;
  assert_int_equal (parse (plain, &release), 0);
  check_plain (&release);
}

static void a_signed_one_as_well (void **state)
{
  static const char head[] = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n";
  static const char tail[] = "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n";
  autofree char *text = xasprintf ("%s%s%s", head, plain, tail);
  autofree char *empty_line = xasprintf ("%s%s\n%s", head, plain, tail);
  autofree char *cut = xasprintf ("%s%s", head, plain);
  autoaptrelease struct apt_release release = {0}, second = {0}, third = {0};

  (void) state;
  assert_int_equal (parse (text, &release), 0);
  check_plain (&release);
  assert_int_equal (parse (empty_line, &second), 0);
  check_plain (&second);
  assert_int_equal (parse (cut, &third), -EINVAL);
}

static void what_is_written_is_read_again (void **state)
{
  autoaptrelease struct apt_release release = {0}, again = {0};
  autostrbuf struct strbuf text = STRBUF_INIT (10000);

  (void) state;
  assert_int_equal (parse (plain, &release), 0);
  apt_release_add_fields (&release, &text);
  apt_release_add_files (&text);
  for (size_t i = 0; i < release.count; i++)
    apt_release_add_file (&release.files[i], &text);
  assert_int_equal (parse (strbuf_str (&text), &again), 0);
  check_plain (&again);
  assert_int_equal (again.fields[APT_RELEASE_DATE].len, 29);
}

static void nonsense_is_refused (void **state)
{
  static const char *const texts[] = {
      "",
      "\n",
      "Origin: x\n",
      " " A " 1 p\n",
      "Origin: x\nOrigin: y\nSHA256:\n",
      "SHA256:\nSHA256:\n",
      "SHA256: " A " 1 p\n",
      "no field\nSHA256:\n",
      ": x\nSHA256:\n",
      "SHA256:\n " A "\n",
      "SHA256:\n " A " 1\n",
      "SHA256:\n " A " 1 p q\n",
      "SHA256:\n " A " -1 p\n",
      "SHA256:\n " A " 1x p\n",
      "SHA256:\n " A " 1111111111111111111 p\n",
      "SHA256:\n " A "0 1 p\n",
      "SHA256:\n g" A " 1 p\n",
      "SHA256:\n 0 1 p\n",
      "SHA256:\n " A " 1 /p\n",
      "SHA256:\n " A " 1 p/\n",
      "SHA256:\n " A " 1 p//q\n",
      "SHA256:\n " A " 1 ../p\n",
      "SHA256:\n " A " 1 p/..\n",
      "SHA256:\n " A " 1 p/./q\n",
      "SHA256:\n " A " 1 p\xc3\xa4\n",
      "SHA256:\n " A " 1 p\x01\n",
      "SHA256:\n " A " 1 p\r\n",
      "SHA256:\n " A " 1 p\n " B " 1 q\n " B " 2 p\n",
      "SHA256:\n " A " 1 p\n\nOrigin: x\n",
      "-----BEGIN PGP SIGNED MESSAGE-----\n",
      "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\nSHA256:\n",
      "-----BEGIN PGP SIGNED MESSAGE-----\n\n-----BEGIN PGP SIGNATURE-----\n",
  };

  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    autoaptrelease struct apt_release release = {0};

    if (parse (texts[i], &release) != -EINVAL)
      fail_msg ("taken for a Release file: %s", texts[i]);
  }
}

static void bytes_of_any_kind_are_refused (void **state)
{
  static const char zero[] = "Origin: x\0y\nSHA256:\n";
  autoaptrelease struct apt_release release = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (apt_release_parse (zero, sizeof zero - 1, &release, &err), -EINVAL);
}

static void too_many_files_are_refused (void **state)
{
  autostrbuf struct strbuf text = STRBUF_INIT (APT_RELEASE_MAX);
  autoaptrelease struct apt_release release = {0};

  (void) state;
  apt_release_add_files (&text);
  for (size_t i = 0; i <= APT_RELEASE_FILES_MAX; i++)
    strbuf_addf (&text, " " A " 1 p%zu\n", i);
  assert_false (text.failed);
  assert_int_equal (parse (text.data, &release), -E2BIG);
}

static void long_paths_are_refused (void **state)
{
  autofree char *path = xmalloc (APT_RELEASE_PATH_MAX + 2);
  autoaptrelease struct apt_release release = {0}, second = {0};

  (void) state;
  memset (path, 'p', APT_RELEASE_PATH_MAX + 1);
  path[APT_RELEASE_PATH_MAX + 1] = '\0';
  autofree char *text = xasprintf ("SHA256:\n " A " 1 %s\n", path);
  assert_int_equal (parse (text, &release), -EINVAL);
  autofree char *shorter = xasprintf ("SHA256:\n " A " 1 %s\n", path + 1);
  assert_int_equal (parse (shorter, &second), 0);
}

static void names_of_lists_are_quoted_as_apt_does (void **state)
{
  static const struct {
    const char *path;
    const char *name;
  } cases[] = {
      {"Packages", "h_dists_s_Packages"},
      {"main/binary-amd64/Packages", "h_dists_s_main_binary-amd64_Packages"},
      {"main/i18n/Translation-en_GB", "h_dists_s_main_i18n_Translation-en%5fGB"},
      {"a~b/c+d:e", "h_dists_s_a%7eb_c+d:e"},
      {"100%/x", "h_dists_s_100%25_x"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct apt_release_word path = word (cases[i].path);
    autofree char *name = apt_release_list_name ("h_dists_s_InRelease", 10, &path);

    assert_string_equal (name, cases[i].name);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_release_file_is_read),
      cmocka_unit_test (a_signed_one_as_well),
      cmocka_unit_test (what_is_written_is_read_again),
      cmocka_unit_test (nonsense_is_refused),
      cmocka_unit_test (bytes_of_any_kind_are_refused),
      cmocka_unit_test (too_many_files_are_refused),
      cmocka_unit_test (long_paths_are_refused),
      cmocka_unit_test (names_of_lists_are_quoted_as_apt_does),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
