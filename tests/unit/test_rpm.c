/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for rpm, on output recorded from 4.18.0. */
#include "driver_test.h"
#include "pkg/rpm.h"

static void command_lines_are_understood (void **state)
{
  static const struct classified cases[] = {
      {"-qa", "-qa", READS},
      {"-qi x", "-qi", READS},
      {"-q -i x", "-q", READS},
      {"-qp --qf -U x.rpm", "-qp", READS},
      {"-qf /etc/passwd", "-qf", READS},
      {"--query --all", "--query", READS},
      {"--queryformat %{NAME} -qa", "-qa", READS},
      {"-Va", "-Va", READS},
      {"--verify x", "--verify", READS},
      {"-K x.rpm", "-K", READS},
      {"-E %{_dbpath}", "-E", READS},
      {"--eval=%{_dbpath}", "--eval=%{_dbpath}", READS},
      {"--version", "--version", READS},
      {"-i x.rpm", "-i", NOTHING},
      {"-ivh x.rpm", "-ivh", NOTHING},
      {"-Uvh x.rpm", "-Uvh", NOTHING},
      {"-D q -U x.rpm", "-U", NOTHING},
      {"--define _q -F x.rpm", "-F", NOTHING},
      {"-U --test x.rpm", "-U", READS},
      {"-e x", "-e", NOTHING},
      {"-e -- -q", "-e", NOTHING},
      {"--import key", "--import", NOTHING},
      {"--rebuilddb", "--rebuilddb", REPAIRS},
      {"--verifydb", "--verifydb", READS | REPAIRS},
      {"--setperms x", "", 0},
      {"x", "", 0},
  };

  (void) state;
  assert_classified (&pkg_rpm, cases, LENGTH (cases));
}

static void commands_are_made (void **state)
{
  autopkgrequest struct pkg_request request = {0};
  autonames struct names args = {0};
  autoerr struct err err = {0};

  (void) state;
  check_command (&pkg_rpm, "rpm", "-U x.rpm", PKG_APPLY, "rpm -U x.rpm");
  check_command (&pkg_rpm, "rpm", "-U x.rpm", PKG_AUDIT, "rpm --verifydb");
  check_command (&pkg_rpm, "rpm", "-U x.rpm", PKG_PLAN, NULL);
  check_command (&pkg_rpm, "rpm", "-U x.rpm", PKG_REFRESH, NULL);
  check_command (&pkg_rpm, "rpm", "-U x.rpm", PKG_DOWNLOAD, NULL);
  assert_int_equal (classify (&pkg_rpm, "-U --root", &request, &err), -ERR_USAGE);
  assert_int_equal (pkg_rpm.neutral (PKG_VERB_UPGRADE, &args, &request, &err), -ERR_USAGE);
  assert_int_equal (pkg_rpm.neutral (PKG_VERB_VERIFY, &args, &request, &err), 0);
  assert_true (request.read_only);
  assert_string_equal (request.args.items[0], "-Va");
}

static void installed_packages_are_read (void **state)
{
  static const char text[] = "vgtest.noarch\t1.0-1\t50060\n"
                             "newname.noarch\t3:1-1\t0\n"
                             "\n"
                             "gpg-pubkey.(none)\t1234abcd-5678\t0\n"
                             "gpg-pubkey.(none)\t1234abcd-5678\t0\n"
                             "kernel.x86_64\t2-1\t7\n"
                             "kernel.x86_64\t1-1\t7";
  static const char *const bad[] = {
      "x",         "x\ty", "x\ty\t", "x\ty\tz", "\t1\t1", "a b\t1\t1", "x\t1\t1234567890123456789",
      "x\t1\t1\t1"};
  autopkgpackages struct pkg_packages packages = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (rpm_parse_installed (text, strlen (text), &packages, &err), 0);
  assert_int_equal (packages.count, 5);
  assert_string_equal (packages.items[0].key, "gpg-pubkey.(none)");
  assert_string_equal (packages.items[1].key, "kernel.x86_64");
  assert_string_equal (packages.items[1].version, "1-1");
  assert_string_equal (packages.items[3].version, "3:1-1");
  assert_int_equal (packages.items[4].size, 50060);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autopkgpackages struct pkg_packages none = {0};

    assert_int_equal (rpm_parse_installed (bad[i], strlen (bad[i]), &none, &err), -EINVAL);
    assert_non_null (strstr (err_text (&err), "line 1"));
  }
}

static void add_all (struct pkg_packages *packages, const char *const *lines)
{
  autoerr struct err err = {0};

  for (; *lines; lines += 2)
    assert_int_equal (pkg_packages_add (packages, lines[0], strlen (lines[0]), lines[1],
                                        strlen (lines[1]), NULL, 0, &err),
                      0);
  pkg_packages_sort (packages);
}

/* Several versions of a package may be there at once. */
static void versions_side_by_side_are_compared (void **state)
{
  static const struct {
    const char *before[10];
    const char *after[10];
    const char *changes;
  } cases[] = {
      {{"k", "1", "k", "2"}, {"k", "2", "k", "3"}, "upgrade k 1 3\n"},
      {{"k", "1"}, {"k", "1", "k", "2"}, "install k - 2\n"},
      {{"k", "1", "k", "2", "k", "3"}, {"k", "2"}, "remove k 1 -\nremove k 3 -\n"},
      {{"k", "1", "k", "3"},
       {"k", "2", "k", "4", "k", "5"},
       "upgrade k 1 2\nupgrade k 3 4\ninstall k - 5\n"},
      {{"a", "1", "k", "1"}, {"b", "1", "k", "1"}, "remove a 1 -\ninstall b - 1\n"},
      {{NULL}, {"k", "1"}, "install k - 1\n"},
      {{"k", "1"}, {NULL}, "remove k 1 -\n"},
      {{NULL}, {NULL}, ""},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autopkgpackages struct pkg_packages before = {0}, after = {0};
    autopkgchanges struct pkg_changes changes = {0};
    autoerr struct err err = {0};

    add_all (&before, cases[i].before);
    add_all (&after, cases[i].after);
    assert_int_equal (pkg_changes_between (&before, &after, &changes, &err), 0);
    autofree char *text = changes_text (&changes);
    assert_string_equal (text, cases[i].changes);
  }
}

static void lines_tell_why (void **state)
{
  static const struct line_case cases[] = {
      {"error: %preun(badpreun-1.0-1.noarch) scriptlet failed, exit status 1", PKG_LINE_CAUSE, "f"},
      {"warning: %posttrans(x-1.0-1.noarch) scriptlet failed, signal 9", PKG_LINE_CAUSE, "f"},
      {"warning: %triggerin(y-1-1.noarch) scriptlet failed, exit status 1", PKG_LINE_CAUSE, "f"},
      {"error: badpre-1.0-1.noarch: install failed", PKG_LINE_ERROR, ""},
      {"error: Failed dependencies:", PKG_LINE_ERROR, "c"},
      {"\tpackage badpreun-1.0-1.noarch is already installed", PKG_LINE_HINT, ""},
      {"error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily "
       "unavailable)",
       PKG_LINE_ERROR, "b"},
      {"error: unpacking of archive failed on file /usr/lib/x/big;6b073d16: cpio: write failed - "
       "No space left on device",
       PKG_LINE_CAUSE, ""},
      {"warning: /etc/x.conf created as /etc/x.conf.rpmnew", PKG_LINE_PLAIN, ""},
      {"this is the post script", PKG_LINE_PLAIN, ""},
      {"\t", PKG_LINE_PLAIN, ""},
      {"", PKG_LINE_PLAIN, ""},
  };

  (void) state;
  CHECK_ALL (check_lines, rpm_line, cases);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (command_lines_are_understood),
      cmocka_unit_test (commands_are_made),
      cmocka_unit_test (installed_packages_are_read),
      cmocka_unit_test (versions_side_by_side_are_compared),
      cmocka_unit_test (lines_tell_why),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
