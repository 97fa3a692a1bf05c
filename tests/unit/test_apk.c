/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for apk, on output recorded from apk-tools 2.7, 2.12, 2.14 and 3.0. */
#include "drivers.h"
#include "pkg/apk.h"

enum { CHANGE = NOTHING | PLANS, FETCH = CHANGE | LISTS | FIRST };

static void command_lines_are_understood (void **state)
{
  static const struct classified cases[] = {
      {"update", "update", REFRESH},
      {"upgrade", "upgrade", FETCH | IDLE},
      {"-U upgrade --available", "upgrade", FETCH | IDLE},
      {"add -t .build gcc", "add", FETCH},
      {"--repository http://x add y", "add", FETCH},
      {"-X update add y", "add", FETCH},
      {"-Xupdate add y", "add", FETCH},
      {"fix", "fix", FETCH | REPAIR},
      {"del x", "del", CHANGE},
      {"del -- -s", "del", CHANGE},
      {"upgrade -s", "upgrade", FETCH | IDLE | RO},
      {"--simulate add x", "add", FETCH | RO},
      {"info -vv", "info", RO},
      {"search x", "search", RO},
      {"version", "version", RO},
      {"--version", "", RO},
      {"-q", "", RO},
      {"cache clean", "cache", 0},
      {"fetch -o /tmp x", "fetch", 0},
      {"convdb", "convdb", 0},
  };

  (void) state;
  assert_classified (&pkg_apk, cases, LENGTH (cases));
  autopkgrequest struct pkg_request request = {0};
  autoerr struct err err = {0};
  assert_int_equal (classify (&pkg_apk, "", &request, &err), -ERR_USAGE);
  assert_int_equal (classify (&pkg_apk, "add x --virtual", &request, &err), -ERR_USAGE);
}

static void commands_are_for_all_versions (void **state)
{
#define A "apk --no-progress --wait 60 "
  static const struct commanded cases[] = {
      {"upgrade", PKG_AUDIT, A "--no-network info"},
      {"upgrade", PKG_REFRESH, A "update"},
      {"upgrade", PKG_PLAN, A "--simulate upgrade"},
      {"-qU upgrade --update-cache", PKG_PLAN, A "--simulate -q upgrade"},
      {"-U add -t U -- -U", PKG_APPLY, A "add -t U -- -U"},
      {"upgrade", PKG_DOWNLOAD, ""},
      {"upgrade", PKG_URIS, ""},
      {"update", PKG_PLAN, ""},
      {"update", PKG_APPLY, A "update"},
  };
#undef A

  (void) state;
  assert_commanded (&pkg_apk, cases, LENGTH (cases));
}

static void neutral_verbs_are_known (void **state)
{
  static const char *const words[PKG_VERBS] = {
      [PKG_VERB_REFRESH] = "update",        [PKG_VERB_UPGRADE] = "upgrade",
      [PKG_VERB_INSTALL] = "add",           [PKG_VERB_REMOVE] = "del",
      [PKG_VERB_LIST_UPGRADES] = "upgrade", [PKG_VERB_SEARCH] = "search",
      [PKG_VERB_VERIFY] = "audit",
  };
  autonames struct names args = {0};

  (void) state;
  names_add (&args, "-x");
  for (int verb = 0; verb < PKG_VERBS; verb++) {
    autopkgrequest struct pkg_request request = {0};
    autoerr struct err err = {0};

    assert_int_equal (pkg_apk.neutral ((enum pkg_verb) verb, &args, &request, &err), 0);
    assert_string_equal (request.verb, words[verb]);
    assert_string_equal (request.args.items[request.args.count - 2], "--");
  }
}

/* 2.14 on Alpine 3.18, and lines of 3.0 and of rarer kinds. */
static const char recorded_plan[] =
    "fetch https://dl-cdn.alpinelinux.org/alpine/v3.18/main/x86_64/APKINDEX.tar.gz\n"
    "(1/7) Upgrading musl (1.2.4-r0 -> 1.2.4-r1)\n"
    "Executing busybox-1.36.1-r2.post-upgrade\n"
    "( 2/17) Installing ncurses-terminfo-base (6.4_p20230506-r0)\n"
    "(3/7) Purging old (1-r0)\n"
    "(4/7) Installing new@edge (2-r1)\n"
    "(5/7) Downgrading back@edge (2-r1 -> 1-r9)\n"
    "(6/7) Reinstalling same (1-r0)\n"
    "(7/7) Replacing built (1-r0 -> 1-r0)\n"
    "(7/7) Updating pinning tagged@edge (1-r0)\n"
    "(7/7) [APK unavailable, skipped] Reinstalling gone (1-r0)\n"
    "WARNING: This simulation is not reliable as apk-tools upgrade is available.\n"
    "OK: 7 MiB in 15 packages\n";

static void plans_are_read (void **state)
{
  static const struct {
    enum pkg_action action;
    const char *name;
    const char *old;
    const char *new;
  } expected[] = {
      {PKG_UPGRADE, "musl", "1.2.4-r0", "1.2.4-r1"},
      {PKG_INSTALL, "ncurses-terminfo-base", NULL, "6.4_p20230506-r0"},
      {PKG_REMOVE, "old", "1-r0", NULL},
      {PKG_INSTALL, "new", NULL, "2-r1"},
      {PKG_DOWNGRADE, "back", "2-r1", "1-r9"},
      {PKG_REINSTALL, "same", NULL, "1-r0"},
      {PKG_REINSTALL, "built", "1-r0", "1-r0"},
      {PKG_CONFIGURE, "tagged", NULL, "1-r0"},
  };
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (pkg_apk.parse_plan (recorded_plan, sizeof recorded_plan - 1, &changes, &err),
                    0);
  assert_int_equal (changes.count, sizeof expected / sizeof expected[0]);
  for (size_t i = 0; i < changes.count; i++) {
    assert_int_equal (changes.items[i].action, expected[i].action);
    assert_string_equal (changes.items[i].name, expected[i].name);
    if (expected[i].old)
      assert_string_equal (changes.items[i].old_version, expected[i].old);
    else
      assert_null (changes.items[i].old_version);
    if (expected[i].new)
      assert_string_equal (changes.items[i].new_version, expected[i].new);
    else
      assert_null (changes.items[i].new_version);
  }
}

static void nonsense_is_no_plan (void **state)
{
  static const char *const refused[] = {
      "x\n(1/1) Upgrading musl",       "x\n(1/1) Upgrading musl (1 -> )",
      "x\n(1/1) Installing  (1)",      "x\n(1/1) Installing a b (1)",
      "x\n(1/1) Installing a ()",      "x\n(1/1) Installing a (1) more",
      "x\n(1/1) Installing a (1\033)", NULL,
  };
  static const char *const ignored[] = {
      "(1/1)Installing a (1)",
      "(x/1) Installing a (1)",
      "(1/) Installing a (1)",
      "(1",
      "",
      "(1/1) ",
      NULL,
  };

  (void) state;
  for (const char *const *text = refused; *text; text++) {
    autopkgchanges struct pkg_changes changes = {0};
    autoerr struct err err = {0};

    assert_int_equal (pkg_apk.parse_plan (*text, strlen (*text), &changes, &err), -EINVAL);
    assert_non_null (strstr (err_text (&err), "line 2"));
  }
  for (const char *const *text = ignored; *text; text++) {
    autopkgchanges struct pkg_changes changes = {0};
    autoerr struct err err = {0};

    assert_int_equal (pkg_apk.parse_plan (*text, strlen (*text), &changes, &err), 0);
    assert_int_equal (changes.count, 0);
  }
}

static void lines_are_told_apart (void **state)
{
  static const struct told cases[] = {
      /* 2.12 */
      {"ERROR: bash-5.1.0-r0.post-install: script exited with error 1", PKG_LINE_CAUSE, FAILED, 0},
      {"1 error; 5 MiB in 18 packages", PKG_LINE_PLAIN, 0, 0},
      /* 3.0 */
      {"ERROR: lib/apk/exec/x-1.post-install: exited with error 1", PKG_LINE_CAUSE, FAILED, 0},
      {"WARNING: updating and opening https://apk.example.test/packages.adb: DNS: transient error "
       "(try again later)",
       PKG_LINE_HINT, NETWORK, 0},
      {"WARNING: updating and opening http://192.168.0.14:8080/main/APKINDEX.tar.gz: UNTRUSTED "
       "signature",
       PKG_LINE_HINT, 0, 0},
      /* 2.14, which exits with 0 then */
      {"WARNING: updating and opening https://dl-cdn.alpinelinux.invalid/alpine/v3.21/main: DNS "
       "lookup error",
       PKG_LINE_HINT, NETWORK, 0},
      {"2 unavailable, 0 stale; 198 distinct packages available", PKG_LINE_PLAIN, FAILED, 0},
      {"WARNING: fetching https://dl-cdn.alpinelinux.org/alpine/v3.21/main: temporary error (try "
       "again later)",
       PKG_LINE_HINT, NETWORK, 0},
      {"OK: 25398 distinct packages available", PKG_LINE_PLAIN, 0, 0},
      {"ERROR: unable to select packages:", PKG_LINE_ERROR, CONTINUES, 0},
      {"  nanop (no such package):", PKG_LINE_PLAIN, 0, 0},
      {"ERROR: Unable to lock database: Resource temporarily unavailable", PKG_LINE_ERROR, BUSY, 0},
      {"ERROR: Unable to lock database: Permission denied", PKG_LINE_ERROR, 0, 0},
      {"ERROR: x-1-r0: temporary error (try again later)", PKG_LINE_ERROR, NETWORK, 0},
      {"(1/7) Upgrading musl (1.2.4-r0 -> 1.2.4-r1)", PKG_LINE_PLAIN, 0, 1},
      {"( 1/17) Purging a (1-r0)", PKG_LINE_PLAIN, 0, 1},
      {"Executing busybox-1.36.1-r2.trigger", PKG_LINE_PLAIN, 0, 0},
      {"OK: 7 MiB in 15 packages", PKG_LINE_PLAIN, 0, 0},
      {"", PKG_LINE_PLAIN, 0, 0},
  };

  (void) state;
  assert_told (&pkg_apk, cases, LENGTH (cases));
}

/* As 2.14 and 3.0 write it, with fewer fields and files. */
static const char database[] = "C:Q17hOhjufinXWHIBdAPVnASE2s2WM=\n"
                               "P:musl\n"
                               "V:1.2.4-r2\n"
                               "A:x86_64\n"
                               "S:393474\n"
                               "I:634880\n"
                               "T:the musl c library (libc) implementation\n"
                               "U:https://musl.libc.org/\n"
                               "L:MIT\n"
                               "o:musl\n"
                               "p:so:libc.musl-x86_64.so.1=1\n"
                               "F:lib\n"
                               "R:ld-musl-x86_64.so.1\n"
                               "a:0:0:755\n"
                               "Z:Q1xyz\n"
                               "\n"
                               "C:Q1x1B2rj8xxxxxxxxxxxxxxxxxxxxx=\n"
                               "P:busybox\n"
                               "V:1.36.1-r15\n"
                               "I:x\n"
                               "f:fs\n"
                               "\n"
                               "P:good\n"
                               "V:1-r0\n"
                               "f:S\n";

static void the_database_is_read (void **state)
{
  autopkgpackages struct pkg_packages packages = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (apk_installed_parse (database, sizeof database - 1, &packages, &err), 0);
  assert_int_equal (packages.count, 3);
  assert_string_equal (packages.items[0].key, "busybox");
  assert_string_equal (packages.items[0].state, "files are broken");
  assert_int_equal (packages.items[0].size, 0);
  assert_string_equal (packages.items[1].key, "good");
  assert_null (packages.items[1].state);
  assert_string_equal (packages.items[2].key, "musl");
  assert_string_equal (packages.items[2].version, "1.2.4-r2");
  assert_int_equal (packages.items[2].size, 634880);
  autopkgpackages struct pkg_packages none = {0};
  assert_int_equal (apk_installed_parse ("\n\n", 2, &none, &err), 0);
  assert_int_equal (none.count, 0);
}

static void nonsense_is_no_database (void **state)
{
  static const struct {
    const char *text;
    const char *where;
  } refused[] = {
      {"P:a\nV:1\n\nP:b\n", "line 4"}, {"V:1\n", "line 1"},
      {"P:a\nnonsense\n", "line 2"},   {"P:a b\nV:1\n", "line 1"},
      {"P:a\nV:1\n\n:x\n", "line 4"},  {"P:a\nV:\n", "line 1"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    autopkgpackages struct pkg_packages packages = {0};
    autoerr struct err err = {0};

    assert_int_equal (
        apk_installed_parse (refused[i].text, strlen (refused[i].text), &packages, &err), -EINVAL);
    assert_non_null (strstr (err_text (&err), refused[i].where));
    assert_int_equal (packages.count, 0);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (command_lines_are_understood),
      cmocka_unit_test (commands_are_for_all_versions),
      cmocka_unit_test (neutral_verbs_are_known),
      cmocka_unit_test (plans_are_read),
      cmocka_unit_test (nonsense_is_no_plan),
      cmocka_unit_test (lines_are_told_apart),
      cmocka_unit_test (the_database_is_read),
      cmocka_unit_test (nonsense_is_no_database),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
