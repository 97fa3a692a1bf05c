/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for dnf, on output recorded from dnf 4.14.0; that of dnf 5 and yum is made after their
 * sources and manuals. */
#include "driver_test.h"
#include "pkg/dnf.h"

/* Whatever needs metadata wants fresh one. */
enum { FRESH = LISTS | FIRST };
enum { CHANGES = FRESH | NOTHING | PLANS, UPGRADES = CHANGES | IDLE, ASKS = READS | FRESH };

static void command_lines_are_understood (void **state)
{
  static const struct classified cases[] = {
      {"upgrade", "upgrade", UPGRADES},
      {"-y upgrade", "upgrade", UPGRADES},
      {"update --security", "update", UPGRADES},
      {"upgrade-minimal", "upgrade-minimal", UPGRADES},
      {"distro-sync", "distro-sync", UPGRADES},
      {"--releasever 40 distro-sync", "distro-sync", UPGRADES},
      {"upgrade x", "upgrade", UPGRADES},
      {"upgrade --downloadonly", "upgrade", FRESH},
      {"upgrade -C", "upgrade", NOTHING | PLANS | IDLE},
      {"--assumeno upgrade", "upgrade", ASKS},
      {"--setopt=assumeno=1 upgrade", "upgrade", UPGRADES},
      {"install x", "install", CHANGES},
      {"-x list install x", "install", CHANGES},
      {"--exclude list install x", "install", CHANGES},
      {"--exclude=list install x", "install", CHANGES},
      {"-xlist install x", "install", CHANGES},
      {"install -- --assumeno", "install", CHANGES},
      {"localinstall /x.rpm", "localinstall", CHANGES},
      {"reinstall x", "reinstall", FRESH | PLANS},
      {"downgrade x", "downgrade", CHANGES},
      {"swap a b", "swap", CHANGES},
      {"remove x", "remove", NOTHING | PLANS},
      {"erase x", "erase", NOTHING | PLANS},
      {"autoremove", "autoremove", NOTHING | PLANS},
      {"group install x", "group", CHANGES},
      {"group list", "group", ASKS},
      {"group -v list", "group", ASKS},
      {"module enable x", "module", FRESH},
      {"module list", "module", ASKS},
      {"history", "history", READS},
      {"history info 3", "history", READS},
      {"history undo 3", "history", FRESH | PLANS},
      {"makecache", "makecache", REFRESH},
      {"check-update", "check-update", ASKS},
      {"list", "list", ASKS},
      {"list --installed", "list", READS},
      {"list installed", "list", READS},
      {"repoquery --installed x", "repoquery", READS},
      {"search x", "search", ASKS},
      {"provides x", "provides", ASKS},
      {"repolist", "repolist", READS},
      {"check", "check", READS},
      {"--version", "", READS},
      {"-h", "", READS},
      {"install --help", "install", ASKS},
      {"clean all", "clean", 0},
      {"mark install x", "mark", 0},
      {"config-manager --add-repo x", "config-manager", 0},
      {"nosuch", "nosuch", 0},
      {"versionlock add x", "versionlock", 0},
      {"versionlock list", "versionlock", READS},
  };

  (void) state;
  assert_classified (&pkg_dnf, cases, LENGTH (cases));
}

static void incomplete_command_lines_are_refused (void **state)
{
  autopkgrequest struct pkg_request request = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (classify (&pkg_dnf, "", &request, &err), -ERR_USAGE);
  assert_int_equal (classify (&pkg_dnf, "upgrade --setopt", &request, &err), -ERR_USAGE);
  assert_non_null (strstr (err_text (&err), "--setopt"));
  assert_int_equal (classify (&pkg_dnf, "upgrade -x", &request, &err), -ERR_USAGE);
}

#define DNF "dnf -y --setopt=cachedir=/var/cache/dnf --setopt=exit_on_lock=True"
#define OLD " --setopt=metadata_expire=never --setopt=*.metadata_expire=never"

static void commands_never_ask (void **state)
{
  (void) state;
  check_command (&pkg_dnf, "dnf", "-y upgrade -q", PKG_AUDIT, "rpm --verifydb");
  check_command (&pkg_dnf, "dnf", "-y upgrade", PKG_REFRESH, DNF " --refresh makecache");
  check_command (&pkg_dnf, "dnf", "-y upgrade -q", PKG_PLAN,
                 DNF OLD " --setopt=debuglevel=2 --assumeno upgrade");
  check_command (&pkg_dnf, "dnf", "upgrade -q", PKG_DOWNLOAD, DNF OLD " upgrade -q --downloadonly");
  check_command (&pkg_dnf, "dnf", "install -- x", PKG_DOWNLOAD,
                 DNF OLD " install --downloadonly -- x");
  check_command (&pkg_dnf, "dnf", "--assumeyes install x", PKG_APPLY, DNF OLD " install x");
  check_command (&pkg_dnf, "dnf", "makecache", PKG_APPLY, DNF " --refresh makecache");
  check_command (&pkg_dnf, "dnf", "remove x", PKG_DOWNLOAD, NULL);
  check_command (&pkg_dnf, "dnf", "list", PKG_PLAN, NULL);
  check_command (&pkg_dnf, "dnf", "upgrade", PKG_URIS, NULL);
  check_command (&pkg_dnf, "dnf", "upgrade", PKG_VERIFY, "rpm --verifydb");
  check_command (&pkg_dnf, "dnf", "upgrade", PKG_INSTALLED,
                 "rpm -qa --qf %{NAME}.%{ARCH}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t"
                 "%|LONGSIZE?{%{LONGSIZE}}:{0}|\\n");
}

static void programs_differ (void **state)
{
  (void) state;
  check_command (&pkg_dnf, "dnf5", "list", PKG_APPLY,
                 "dnf5 -y --setopt=cachedir=/var/cache/dnf --setopt=exit_on_lock=True "
                 "--setopt=system_cachedir=/var/cache/dnf list");
  check_command (&pkg_dnf, "yum", "upgrade", PKG_REFRESH,
                 "yum -y --setopt=cachedir=/var/cache/dnf --setopt=exit_on_lock=True "
                 "--setopt=metadata_expire=0 makecache");
  check_command (&pkg_dnf, "microdnf", "upgrade", PKG_REFRESH, NULL);
  check_command (&pkg_dnf, "microdnf", "upgrade", PKG_PLAN, NULL);
  check_command (&pkg_dnf, "microdnf", "upgrade", PKG_DOWNLOAD, NULL);
  check_command (&pkg_dnf, "microdnf", "upgrade", PKG_APPLY, "microdnf -y upgrade");
  check_command (&pkg_dnf, "microdnf", "makecache", PKG_APPLY, "microdnf -y makecache");
}

static void neutral_verbs_are_said_in_its_words (void **state)
{
  static const char *const wanted[PKG_VERBS] = {"makecache",  "upgrade a b", "install a b",
                                                "remove a b", "upgrade a b", "search a b",
                                                "-V a b"};

  (void) state;
  for (int verb = 0; verb < PKG_VERBS; verb++) {
    autopkgrequest struct pkg_request request = {0};
    autonames struct names args = {0};
    autoerr struct err err = {0};

    if (verb != PKG_VERB_REFRESH)
      split ("a b", &args);
    assert_int_equal (pkg_dnf.neutral ((enum pkg_verb) verb, &args, &request, &err), 0);
    autofree char *text = join_words (&request.args);
    assert_string_equal (text, wanted[verb]);
    assert_int_equal (request.read_only, verb == PKG_VERB_SEARCH || verb == PKG_VERB_VERIFY);
    assert_int_equal (request.program != NULL, verb == PKG_VERB_VERIFY);
  }
}

#define RULER "================================================================================\n"
#define TABLE                                                                                      \
  "Last metadata expiration check: 0:00:01 ago on Wed Nov 25 19:43:21 2026.\n"                     \
  "Dependencies resolved.\n" RULER                                                                 \
  " Package            Architecture      Version           Repository         Size\n" RULER
#define SUMMARY "\nTransaction Summary\n" RULER

static void tables_of_dnf_4_are_read (void **state)
{
  (void) state;
  check_plan (dnf_parse_plan,
              TABLE
              "Upgrading:\n"
              " vgtest            noarch            2.0-1              vgrepo      6.9 k\n" SUMMARY
              "Upgrade  1 Package\n\nTotal size: 6.9 k\n",
              "upgrade vgtest.noarch - 2.0-1\n");
  check_plan (dnf_parse_plan,
              TABLE
              "Installing:\n"
              " wants               noarch            1-1              vgrepo       5.4 k\n"
              "Installing dependencies:\n"
              " dep-lib             noarch            1-1              vgrepo       5.4 k\n"
              "Installing weak dependencies:\n"
              " weak-one            noarch            1-1              vgrepo       5.4 k\n" SUMMARY
              "Install  3 Packages\n",
              "install wants.noarch - 1-1\n"
              "install dep-lib.noarch - 1-1\n"
              "install weak-one.noarch - 1-1\n");
  check_plan (dnf_parse_plan,
              TABLE "Installing:\n"
                    " fights             noarch            1-1               vgrepo       5.4 k\n"
                    " newname            noarch            3:1-1             vgrepo       5.5 k\n"
                    "     replacing  vgtest.noarch 1.0-1\n" SUMMARY "Install  2 Packages\n",
              "install fights.noarch - 1-1\n"
              "install newname.noarch - 3:1-1\n"
              "remove vgtest.noarch 1.0-1 -\n");
  check_plan (dnf_parse_plan,
              TABLE
              "Removing:\n"
              " dep-lib             noarch            1-1             @vgrepo         0  \n"
              "Removing dependent packages:\n"
              " wants               noarch            1-1             @vgrepo         0  \n"
              "Removing unused dependencies:\n"
              " weak-one            noarch            1-1             @vgrepo         0  \n" SUMMARY
              "Remove  3 Packages\n\nFreed space: 0  \n",
              "remove dep-lib.noarch 1-1 -\n"
              "remove wants.noarch 1-1 -\n"
              "remove weak-one.noarch 1-1 -\n");
  check_plan (dnf_parse_plan,
              TABLE
              "Reinstalling:\n"
              " vgtest            noarch            1.0-1              vgrepo      6.9 k\n"
              "Downgrading:\n"
              " vgextra           noarch            1.0-1              vgrepo      6.9 k\n"
              "Skipping packages with conflicts:\n"
              "(add '--best --allowerasing' to command line to force their upgrade):\n"
              " skipped           noarch            1.0-1              vgrepo      6.9 k\n"
              "Installing Groups:\n"
              " A Group                                                                \n"
              "Enabling module streams:\n"
              " perl                                5.26                               \n" SUMMARY
              " not a row\n",
              "reinstall vgtest.noarch - 1.0-1\n"
              "downgrade vgextra.noarch - 1.0-1\n");
}

static void other_tables_are_read (void **state)
{
  (void) state;
  /* dnf 5. */
  check_plan (dnf_parse_plan,
              "Updating and loading repositories:\n"
              "Repositories loaded.\n"
              "Package           Arch   Version           Repository          Size\n"
              "Upgrading:\n"
              " vgtest           noarch 2.0-1             vgrepo          48.9 KiB\n"
              "   replacing      noarch 1.0-1             <unknown>       48.9 KiB\n"
              " vgmore           noarch 0:2.0-1           vgrepo          48.9 KiB\n"
              "   replacing vgmore noarch 1.0-1           <unknown>       48.9 KiB\n"
              "   replacing gone x86_64 1.0-1                             48.9 KiB\n"
              "Removing:   \n"
              " vgold            noarch 1.0-1                              0.0   B\n"
              "Changing reason:\n"
              " vgreason         noarch 1.0-1             vgrepo           0.0   B\n"
              "   Dependency -> User\n"
              "\n"
              "Transaction Summary:\n"
              " Upgrading:         2 packages\n",
              "upgrade vgtest.noarch 1.0-1 2.0-1\n"
              "upgrade vgmore.noarch 1.0-1 0:2.0-1\n"
              "remove gone.x86_64 1.0-1 -\n"
              "remove vgold.noarch 1.0-1 -\n");
  /* yum of version 3 breaks rows. */
  check_plan (dnf_parse_plan,
              "Dependencies Resolved\n\n" RULER
              " Package          Arch         Version             Repository      Size\n" RULER
              "Updating:\n"
              " a-package-with-a-very-long-name\n"
              "                  x86_64       4.2.46-34.el7       updates        1.0 M\n"
              " b                x86_64       1.0-123456789.20260101.git0123456789.el7\n"
              "                                                   updates        1.0 M\n"
              "Installing for dependencies:\n"
              " c                noarch       1.0-1               base           1.0 M\n"
              "\nTransaction Summary\n" RULER "Upgrade  2 Packages\n",
              "upgrade a-package-with-a-very-long-name.x86_64 - 4.2.46-34.el7\n"
              "upgrade b.x86_64 - 1.0-123456789.20260101.git0123456789.el7\n"
              "install c.noarch - 1.0-1\n");
  check_plan (dnf_parse_plan, "Dependencies resolved.\nNothing to do.\nComplete!\n", "");
  check_plan (dnf_parse_plan, "", "");
  check_plan (dnf_parse_plan, "Upgrading:\n x\n", "");
}

static void broken_tables_are_refused (void **state)
{
  (void) state;
  check_bad_plan (dnf_parse_plan, TABLE "Upgrading:\n vgtest\nRemoving:\n", "line 8");
  check_bad_plan (dnf_parse_plan, TABLE "Upgrading:\n vgtest noarch", "at its end");
  check_bad_plan (dnf_parse_plan, TABLE "Upgrading:\n   replacing x.noarch 1-1\n", "by nothing");
  check_bad_plan (dnf_parse_plan, TABLE "Upgrading:\n a b c-1\n   replacing x\n", "no version");
  check_bad_plan (dnf_parse_plan, TABLE "Upgrading:\n a\001 b c-1\n\n", "bad name");
}

static void exit_statuses_are_understood (void **state)
{
  static const char plan[] = TABLE "Upgrading:\n vgtest noarch 2.0-1 vgrepo 6.9 k\n" SUMMARY;
  static const char no_plan[] = "No match for argument: nosuch\n";

  (void) state;
  check_meaning (&pkg_dnf, "upgrade", PKG_APPLY, 0, NULL, PKG_OK);
  check_meaning (&pkg_dnf, "upgrade", PKG_APPLY, 1, NULL, PKG_FAILED);
  check_meaning (&pkg_dnf, "upgrade", PKG_APPLY, 1, plan, PKG_FAILED);
  check_meaning (&pkg_dnf, "upgrade", PKG_APPLY, 100, NULL, PKG_FAILED);
  check_meaning (&pkg_dnf, "upgrade", PKG_APPLY, 200, NULL, PKG_BUSY);
  check_meaning (&pkg_dnf, "upgrade", PKG_PLAN, 1, plan, PKG_OK);
  check_meaning (&pkg_dnf, "upgrade", PKG_PLAN, 1, no_plan, PKG_FAILED);
  check_meaning (&pkg_dnf, "upgrade", PKG_PLAN, 1, NULL, PKG_FAILED);
  check_meaning (&pkg_dnf, "upgrade", PKG_PLAN, 0, "Nothing to do.\n", PKG_OK);
  check_meaning (&pkg_dnf, "upgrade --assumeno", PKG_APPLY, 1, plan, PKG_OK);
  check_meaning (&pkg_dnf, "check-update", PKG_APPLY, 100, NULL, PKG_OK);
  check_meaning (&pkg_dnf, "check-update", PKG_APPLY, 1, NULL, PKG_FAILED);
  check_meaning (&pkg_dnf, "upgrade", PKG_AUDIT, 0, "", PKG_OK);
  check_meaning (&pkg_dnf, "upgrade", PKG_AUDIT, 200, "", PKG_FAILED);
  check_meaning (&pkg_dnf, "upgrade", PKG_REFRESH, 1, NULL, PKG_FAILED);
}

static void lines_tell_why (void **state)
{
  static const struct line_case cases[] = {
      {"", PKG_LINE_PLAIN, ""},
      {"Dependencies resolved.", PKG_LINE_PLAIN, ""},
      {"error: %prein(badpre-1.0-1.noarch) scriptlet failed, exit status 1", PKG_LINE_CAUSE, "f"},
      {"warning: %post(badpost-1.0-1.noarch) scriptlet failed, exit status 1", PKG_LINE_CAUSE, "f"},
      {"Error in POSTIN scriptlet in rpm package badpost", PKG_LINE_ERROR, "f"},
      {"Non-fatal POSTIN scriptlet failure in rpm package badpost", PKG_LINE_ERROR, "f"},
      {">>> Non-critical error in %post scriptlet: badpost-0:1.0-1.noarch", PKG_LINE_ERROR, "f"},
      {">>> Running %post scriptlet: badpost-0:1.0-1.noarch", PKG_LINE_PLAIN, ""},
      {">>> [RPM] %post(badpost-1.0-1.noarch) scriptlet failed, exit status 1", PKG_LINE_CAUSE,
       "f"},
      {">>> [RPM] lua script failed: [string \"%post(x)\"]:1: failing", PKG_LINE_CAUSE, "f"},
      {"Error: Transaction failed", PKG_LINE_HINT, ""},
      {"Transaction failed: Rpm transaction failed.", PKG_LINE_HINT, ""},
      {"Error: ", PKG_LINE_HINT, ""},
      {" Problem: conflicting requests", PKG_LINE_CAUSE, "c"},
      {" Problem 1: cannot install both", PKG_LINE_CAUSE, "c"},
      {"  - nothing provides other needed by needs-1-1.noarch", PKG_LINE_PLAIN, ""},
      {"Error: Transaction test error:", PKG_LINE_ERROR, "c"},
      {"Error: Unable to find a match: nosuch", PKG_LINE_ERROR, ""},
      {"Error unpacking rpm package bigone-1-1.noarch", PKG_LINE_ERROR, ""},
      {"  - Curl error (6): Couldn't resolve host name for http://nosuch.invalid/repodata/"
       "repomd.xml [Could not resolve host: nosuch.invalid]",
       PKG_LINE_CAUSE, "n"},
      {"  - Curl error (7): Couldn't connect to server for http://127.0.0.1:8123/ [Failed]",
       PKG_LINE_CAUSE, "n"},
      {"  - Curl error (37): Couldn't read a file:// file for file:///srv/x", PKG_LINE_CAUSE, ""},
      {"  - Curl error (60): SSL peer certificate was not OK", PKG_LINE_CAUSE, ""},
      {"  - Status code: 404 for http://127.0.0.1/x (IP: 127.0.0.1)", PKG_LINE_CAUSE, ""},
      {"  - Status code: 503 for http://127.0.0.1/x (IP: 127.0.0.1)", PKG_LINE_CAUSE, "n"},
      {"[Errno 14] curl#6 - \"Could not resolve host: x\"", PKG_LINE_PLAIN, "n"},
      {"Waiting for process with pid 1234 to finish.", PKG_LINE_PLAIN, "b"},
      {"  Installing       : vgtest-1.0-1.noarch                          1/1 ", PKG_LINE_PLAIN,
       "u"},
      {"  Upgrading        : vgtest-2.0-1.noarch                          1/2 ", PKG_LINE_PLAIN,
       "u"},
      {"  Cleanup          : vgtest-1.0-1.noarch                          2/2 ", PKG_LINE_PLAIN,
       ""},
      {"  Erasing          : weak-one-1-1.noarch                          1/1 ", PKG_LINE_PLAIN,
       "u"},
      {"  Verifying        : vgtest-2.0-1.noarch                          1/2 ", PKG_LINE_PLAIN,
       ""},
      {"  Updating   : vgtest-2.0-1.noarch                                1/2 ", PKG_LINE_PLAIN,
       "u"},
      {"[2/4] Upgrading vgtest-0:2.0-1.noarch 100% |   1.0 MiB/s |  48.9 KiB |  00m00s",
       PKG_LINE_PLAIN, "u"},
      {"[SKIPPED] vgtest-2.0-1.noarch.rpm: Already downloaded", PKG_LINE_PLAIN, ""},
      {"Installing:", PKG_LINE_PLAIN, ""},
      {"Installing: vgtest;2.0-1;noarch;vgrepo", PKG_LINE_PLAIN, "u"},
  };

  (void) state;
  CHECK_ALL (check_lines, dnf_line, cases);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (command_lines_are_understood),
      cmocka_unit_test (incomplete_command_lines_are_refused),
      cmocka_unit_test (commands_never_ask),
      cmocka_unit_test (programs_differ),
      cmocka_unit_test (neutral_verbs_are_said_in_its_words),
      cmocka_unit_test (tables_of_dnf_4_are_read),
      cmocka_unit_test (other_tables_are_read),
      cmocka_unit_test (broken_tables_are_refused),
      cmocka_unit_test (exit_statuses_are_understood),
      cmocka_unit_test (lines_tell_why),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
