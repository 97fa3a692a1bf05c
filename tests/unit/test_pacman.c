/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for pacman, on output recorded from 6.0.2. */
#include "drivers.h"
#include "pkg/pacman.h"

enum { UPGRADE = LISTS | NOTHING | PLANS | IDLE, INSTALL = UPGRADE | NEVER };

static void command_lines_are_understood (void **state)
{
  static const struct classified cases[] = {
      {"-Syu", "-Syu", UPGRADE | FIRST},
      {"-Syyu --needed x", "-Syyu", UPGRADE | FIRST},
      {"-Su", "-Su", UPGRADE},
      {"--sync --sysupgrade --refresh", "--sync", UPGRADE | FIRST},
      {"-S x", "-S", INSTALL},
      {"--noconfirm -S --needed x", "-S", INSTALL},
      {"-S -- -y", "-S", INSTALL},
      {"-Sy", "-Sy", REFRESH},
      {"-Syy", "-Syy", REFRESH},
      {"-Suw", "-Suw", LISTS},
      {"-Syuw", "-Syuw", LISTS | FIRST},
      {"-Sc", "-Sc", 0},
      {"-Scc", "-Scc", 0},
      {"-Ss x", "-Ss", RO},
      {"-Sys x", "-Sys", RO},
      {"-Si x", "-Si", RO},
      {"-Sl", "-Sl", RO},
      {"-Sg", "-Sg", RO},
      {"-Syup", "-Syup", RO},
      {"-S x --print", "-S", RO},
      {"-S --print-format %n x", "-S", RO},
      {"-Su --ignore -p", "-Su", UPGRADE},
      {"-Su --ignore=-p", "-Su", UPGRADE},
      {"-Sub /y", "-Sub", UPGRADE},
      {"-Sub/y", "-Sub/y", UPGRADE},
      {"-R x", "-R", PLANS | NOTHING},
      {"-Rns x", "-Rns", PLANS | NOTHING},
      {"-Rp x", "-Rp", RO},
      {"-U /srv/x.pkg.tar", "-U", PLANS | NOTHING},
      {"-U https://x/y.pkg.tar", "-U", NOTHING},
      {"-Q", "-Q", RO},
      {"-Qu", "-Qu", RO},
      {"-Qkk", "-Qkk", RO},
      {"-T x", "-T", RO},
      {"-F x", "-F", RO},
      {"-Fy", "-Fy", REFRESH},
      {"-Fy x", "-Fy", RO},
      {"-Dk", "-Dk", RO},
      {"-D --asdeps x", "-D", 0},
      {"-V", "", RO},
      {"--help", "", RO},
      {"-Sh", "-Sh", RO},
      {"x", "", RO},
  };

  (void) state;
  assert_classified (&pkg_pacman, cases, LENGTH (cases));
}

static void partial_upgrades_are_refused (void **state)
{
  static const char *const refused[] = {"-Sy x", "-S -y x", "--sync --refresh x", "-Syw x", NULL};

  (void) state;
  for (const char *const *args = refused; *args; args++) {
    autopkgrequest struct pkg_request request = {0};
    autoerr struct err err = {0};

    assert_int_equal (classify (&pkg_pacman, *args, &request, &err), -ERR_USAGE);
    assert_non_null (strstr (err_text (&err), "-Syu"));
  }
}

static void incomplete_command_lines_are_refused (void **state)
{
  static const char *const refused[] = {"", "-Su --ignore", "-Qb", "-Sr", NULL};

  (void) state;
  for (const char *const *args = refused; *args; args++) {
    autopkgrequest struct pkg_request request = {0};
    autoerr struct err err = {0};

    assert_int_equal (classify (&pkg_pacman, *args, &request, &err), -ERR_USAGE);
  }
}

static void commands_never_ask_and_refresh_once (void **state)
{
#define S "pacman --noconfirm --color never --noprogressbar "
  static const struct commanded cases[] = {
      {"-Syu", PKG_REFRESH, S "-Sy"},
      {"-Syyu", PKG_REFRESH, S "-Syy"},
      {"-Syu", PKG_PLAN, S "--print-format install %n %v -Su"},
      {"-Syu", PKG_DOWNLOAD, S "--downloadonly -Su"},
      {"-Syu", PKG_APPLY, S "-Su"},
      {"-S -y --refresh -u x", PKG_APPLY, S "-S -u x"},
      {"-Syub /y", PKG_APPLY, S "-Sub /y"},
      {"-Syur/y", PKG_APPLY, S "-Sur/y"},
      {"-Syu --ignore -y -- -y", PKG_APPLY, S "-Su --ignore -y -- -y"},
      {"-S x", PKG_APPLY, S "-S x"},
      {"-Sy", PKG_APPLY, S "-Sy"},
      {"-Sy", PKG_PLAN, ""},
      {"-Sy", PKG_DOWNLOAD, ""},
      {"-Rs x", PKG_PLAN, S "--print-format remove %n %v -Rs x"},
      {"-Rs x", PKG_DOWNLOAD, ""},
      {"-U x", PKG_DOWNLOAD, ""},
      {"-Q", PKG_APPLY, "pacman --noconfirm --color never -Q"},
      {"-Fy", PKG_APPLY, "pacman --noconfirm --color never -Fy"},
      {"-Su", PKG_AUDIT, "sh -c exec \"$0\" -Dk 2>&1 pacman"},
      {"-Su", PKG_URIS, ""},
      {"-Su", PKG_INSTALLED, ""},
  };
#undef S

  (void) state;
  assert_commanded (&pkg_pacman, cases, LENGTH (cases));
}

static void neutral_verbs_are_no_partial_upgrades (void **state)
{
  static const struct {
    enum pkg_verb verb;
    const char *args;
    const char *line;
    unsigned flags;
  } cases[] = {
      {PKG_VERB_REFRESH, "", "-Sy", REFRESH},
      {PKG_VERB_UPGRADE, "", "-Syu", UPGRADE | FIRST},
      {PKG_VERB_LIST_UPGRADES, "", "-Syu", UPGRADE | FIRST},
      {PKG_VERB_INSTALL, "a b", "-Su --needed -- a b", UPGRADE},
      {PKG_VERB_REMOVE, "a", "-R -- a", PLANS | NOTHING},
      {PKG_VERB_SEARCH, "a", "-Ss -- a", RO},
      {PKG_VERB_VERIFY, "", "-Qkk", RO},
  };

  (void) state;
  for (size_t i = 0; i < LENGTH (cases); i++) {
    autopkgrequest struct pkg_request request = {0};
    autonames struct names args = {0}, words = {0};
    autoerr struct err err = {0};

    split (cases[i].args, &args);
    split (cases[i].line, &words);
    assert_int_equal (pkg_pacman.neutral (cases[i].verb, &args, &request, &err), 0);
    assert_int_equal (flags_of (&request), cases[i].flags);
    assert_int_equal (request.args.count, words.count);
    for (size_t j = 0; j < words.count; j++)
      assert_string_equal (request.args.items[j], words.items[j]);
  }
}

/* pacman 6.0.2: -Sup --print-format 'install %n %v', with what --noconfirm answers before. */
static const char recorded_plan[] = ":: Replace old with test/newname? [Y/n] \n"
                                    "install newname 1-1\n"
                                    "install newdep 1:1.0-1\n"
                                    "install vgtest 2.0-1\n";

static void plans_are_read (void **state)
{
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};
  static const char removal[] = "remove vgtest 2.0-1\nremove newdep 1-1";

  (void) state;
  assert_int_equal (pkg_pacman.parse_plan (recorded_plan, sizeof recorded_plan - 1, &changes, &err),
                    0);
  assert_int_equal (changes.count, 3);
  assert_int_equal (changes.items[1].action, PKG_INSTALL);
  assert_string_equal (changes.items[1].name, "newdep");
  assert_string_equal (changes.items[1].new_version, "1:1.0-1");
  assert_null (changes.items[1].old_version);
  assert_int_equal (pkg_pacman.parse_plan (removal, sizeof removal - 1, &changes, &err), 0);
  assert_int_equal (changes.count, 5);
  assert_int_equal (changes.items[4].action, PKG_REMOVE);
  assert_string_equal (changes.items[4].name, "newdep");
  assert_string_equal (changes.items[4].old_version, "1-1");
}

static void nonsense_is_no_plan (void **state)
{
  static const char *const refused[] = {"x\ninstall a", "\ninstall a 1 2", "y\ninstall \033 1",
                                        "z\nremove  ", NULL};

  (void) state;
  for (const char *const *text = refused; *text; text++) {
    autopkgchanges struct pkg_changes changes = {0};
    autoerr struct err err = {0};

    assert_int_equal (pkg_pacman.parse_plan (*text, strlen (*text), &changes, &err), -EINVAL);
    assert_non_null (strstr (err_text (&err), "line 2"));
  }
}

static void lines_are_told_apart (void **state)
{
  static const struct told cases[] = {
      {"error: command failed to execute correctly", PKG_LINE_CAUSE, FAILED, 0},
      {"error: command terminated by signal 9: Killed", PKG_LINE_CAUSE, FAILED, 0},
      {"error: failed to init transaction (unable to lock database)", PKG_LINE_ERROR, BUSY, 0},
      {"error: failed to synchronize all databases (unable to lock database)", PKG_LINE_ERROR, BUSY,
       0},
      {"error: failed retrieving file 'test.db' from 127.0.0.1:9999 : Failed to connect to "
       "127.0.0.1 port 9999 after 0 ms: Couldn't connect to server",
       PKG_LINE_CAUSE, NETWORK, 0},
      {"error: failed retrieving file 'test.db' from no.such.host.invalid : Could not resolve "
       "host: no.such.host.invalid",
       PKG_LINE_CAUSE, NETWORK, 0},
      {"error: failed retrieving file 'test.db' from disk : Couldn't open file /srv/repo/test.db",
       PKG_LINE_CAUSE, 0, 0},
      {"error: failed retrieving file 'a-1-1-any.pkg.tar.gz' from 127.0.0.1:8000 : The requested "
       "URL returned error: 404",
       PKG_LINE_CAUSE, 0, 0},
      {"error: failed retrieving file 'a-1-1-any.pkg.tar.gz' from 127.0.0.1:8000 : The requested "
       "URL returned error: 503",
       PKG_LINE_CAUSE, NETWORK, 0},
      {"error: target not found: nosuch", PKG_LINE_ERROR, 0, 0},
      {"error: failed to prepare transaction (could not satisfy dependencies)", PKG_LINE_ERROR,
       CONTINUES, 0},
      {"error: failed to commit transaction (conflicting files)", PKG_LINE_ERROR, CONTINUES, 0},
      {"error: failed to commit transaction (invalid url for server)", PKG_LINE_ERROR, 0, 0},
      {"Do you want to delete it? [Y/n] error: failed to commit transaction (invalid or corrupted "
       "package (checksum))",
       PKG_LINE_ERROR, 0, 0},
      {":: Proceed with installation? [Y/n] error: command failed to execute correctly",
       PKG_LINE_CAUSE, FAILED, 0},
      {"installing vgtest...", PKG_LINE_PLAIN, TOPIC, 1},
      {"upgrading vgtest...", PKG_LINE_PLAIN, TOPIC, 1},
      {"removing vgtest...", PKG_LINE_PLAIN, TOPIC, 1},
      {":: Running post-transaction hooks...", PKG_LINE_PLAIN, TOPIC, 0},
      {"installing what it likes", PKG_LINE_PLAIN, 0, 0},
      {" vgtest-1.0-1-any downloading...", PKG_LINE_PLAIN, 0, 0},
      {"warning: /etc/vgtest.conf installed as /etc/vgtest.conf.pacnew", PKG_LINE_PLAIN, 0, 0},
      {"", PKG_LINE_PLAIN, 0, 0},
  };

  (void) state;
  assert_told (&pkg_pacman, cases, LENGTH (cases));
}

static void only_damage_is_a_fault_of_the_database (void **state)
{
  static const char *const fine[] = {
      "error: missing 'newdep' dependency for 'vgtest'\n",
      "warning: database file for 'test' does not exist (use '-Sy' to download)\n"
      "error: missing 'a' dependency for 'b'\nerror: 'a' conflicts with 'b'\n"
      "error: file owned by 'a' and 'b': 'usr/bin/x'\n",
      NULL,
  };
  static const char *const damaged[] = {
      "error: 'clash-1-1': description file is missing\n",
      "error: missing 'a' dependency for 'b'\nerror: 'clash-1-1': file list is missing\n",
      "error: duplicated database entry 'clash'\n",
      "error: failed to initialize alpm library:\n(root: /, dbpath: /var/lib/pacman/)\n"
      "database is incorrect version\ntry running pacman-db-upgrade\n",
      "sh: 1: exec: pacman: not found\n",
      "",
      "warning: something\n",
      NULL,
  };
  const struct pkg_request request = {0};

  (void) state;
  for (const char *const *output = fine; *output; output++)
    assert_int_equal (pkg_pacman.meaning (PKG_AUDIT, &request, 1, *output), PKG_OK);
  for (const char *const *output = damaged; *output; output++)
    assert_int_equal (pkg_pacman.meaning (PKG_VERIFY, &request, 4, *output), PKG_FAILED);
  assert_int_equal (
      pkg_pacman.meaning (PKG_AUDIT, &request, 0, "No database errors have been found!\n"), PKG_OK);
  /* Not decided before it is known. */
  assert_int_equal (pkg_pacman.meaning (PKG_AUDIT, &request, 1, NULL), PKG_OK);
}

static void finding_nothing_is_no_failure (void **state)
{
  static const struct {
    const char *args;
    enum pkg_meaning meaning; /* of exit status 1 */
  } cases[] = {
      {"-Qu", PKG_NOTHING},   {"-Qdt", PKG_NOTHING}, {"-Qs x", PKG_NOTHING},
      {"-Ss x", PKG_NOTHING}, {"-F x", PKG_NOTHING}, {"-Q x", PKG_FAILED},
      {"-Qkk", PKG_FAILED},   {"-Si x", PKG_FAILED}, {"-Su", PKG_FAILED},
  };

  (void) state;
  for (size_t i = 0; i < LENGTH (cases); i++) {
    autopkgrequest struct pkg_request request = {0};
    autoerr struct err err = {0};

    assert_int_equal (classify (&pkg_pacman, cases[i].args, &request, &err), 0);
    assert_int_equal (pkg_pacman.meaning (PKG_APPLY, &request, 1, NULL), cases[i].meaning);
    assert_int_equal (pkg_pacman.meaning (PKG_APPLY, &request, 255, NULL), PKG_FAILED);
    assert_int_equal (pkg_pacman.meaning (PKG_APPLY, &request, 0, NULL), PKG_OK);
  }
}

static void packages_are_told_by_names_of_directories (void **state)
{
  static const struct {
    const char *directory;
    const char *name; /* NULL: passed over */
    const char *version;
  } cases[] = {
      {"vgtest-1.0-1", "vgtest", "1.0-1"},
      {"gtk-update-icon-cache-1:4.12.4-1", "gtk-update-icon-cache", "1:4.12.4-1"},
      {"a--1-1", "a-", "1-1"},
      {"x-y-z", "x", "y-z"},
      {"nonsense", NULL, NULL},
      {"a-1", NULL, NULL},
      {"-1-1", NULL, NULL},
      {"a-1-", NULL, NULL},
      {"a--1", NULL, NULL},
      {"", NULL, NULL},
  };

  (void) state;
  for (size_t i = 0; i < LENGTH (cases); i++) {
    autopkgpackages struct pkg_packages packages = {0};
    autoerr struct err err = {0};

    assert_int_equal (pacman_add_entry (&packages, cases[i].directory, &err), 0);
    assert_int_equal (packages.count, cases[i].name != NULL);
    if (!cases[i].name)
      continue;
    assert_string_equal (packages.items[0].key, cases[i].name);
    assert_string_equal (packages.items[0].version, cases[i].version);
  }
  autopkgpackages struct pkg_packages packages = {0};
  autoerr struct err err = {0};
  assert_int_equal (pacman_add_entry (&packages, "a b-1-1", &err), -EINVAL);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (command_lines_are_understood),
      cmocka_unit_test (partial_upgrades_are_refused),
      cmocka_unit_test (incomplete_command_lines_are_refused),
      cmocka_unit_test (commands_never_ask_and_refresh_once),
      cmocka_unit_test (neutral_verbs_are_no_partial_upgrades),
      cmocka_unit_test (plans_are_read),
      cmocka_unit_test (nonsense_is_no_plan),
      cmocka_unit_test (lines_are_told_apart),
      cmocka_unit_test (only_damage_is_a_fault_of_the_database),
      cmocka_unit_test (finding_nothing_is_no_failure),
      cmocka_unit_test (packages_are_told_by_names_of_directories),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
