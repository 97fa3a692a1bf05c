/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "pkg/apt.h"
#include "pkg/runlog.h"

enum { RO = 1, REFRESH = 2, LISTS = 4, NOTHING = 8, PLANS = 16, IDLE = 32, REPAIRS = 64 };

static int classify (const char *const *args, struct pkg_request *ret_request, struct err *err)
{
  autonames struct names words = {0};

  for (; *args; args++)
    names_add (&words, *args);
  return pkg_apt.classify (&words, ret_request, err);
}

static unsigned flags_of (const struct pkg_request *request)
{
  return (request->read_only ? RO : 0U) | (request->refresh ? REFRESH : 0U) |
         (request->needs_lists ? LISTS : 0U) | (request->may_do_nothing ? NOTHING : 0U) |
         (request->plans ? PLANS : 0U) | (request->idle ? IDLE : 0U) |
         (request->repairs ? REPAIRS : 0U);
}

static void command_lines_are_understood (void **state)
{
  enum { UPGRADE = LISTS | NOTHING | PLANS | IDLE, INSTALL = LISTS | NOTHING | PLANS };
  static const struct {
    const char *args[8];
    const char *verb;
    unsigned flags;
  } cases[] = {
      {{"update"}, "update", REFRESH},
      {{"upgrade"}, "upgrade", UPGRADE},
      {{"-y", "dist-upgrade"}, "dist-upgrade", UPGRADE},
      {{"-s", "upgrade"}, "upgrade", RO | UPGRADE},
      {{"-ys", "upgrade"}, "upgrade", RO | UPGRADE},
      {{"upgrade", "--dry-run"}, "upgrade", RO | UPGRADE},
      {{"-o", "A::B=install", "update"}, "update", REFRESH},
      {{"-oA::B=s", "update"}, "update", REFRESH},
      {{"-yt", "stable", "install", "x"}, "install", INSTALL},
      {{"-f", "install"}, "install", INSTALL | REPAIRS},
      {{"--fix-broken", "install"}, "install", INSTALL | REPAIRS},
      {{"--option", "-s", "remove", "x"}, "remove", NOTHING | PLANS},
      {{"--option=-s", "purge", "x"}, "purge", NOTHING | PLANS},
      {{"install", "--", "-s"}, "install", INSTALL},
      {{"--version"}, "", RO},
      {{"-v"}, "", RO},
      {{"-q"}, "", RO},
      {{"show", "x"}, "show", RO},
      {{"clean"}, "clean", 0},
      {{"--print-uris", "install", "x"}, "install", RO | INSTALL},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autopkgrequest struct pkg_request request = {0};
    autoerr struct err err = {0};

    assert_int_equal (classify (cases[i].args, &request, &err), 0);
    assert_string_equal (request.verb, cases[i].verb);
    assert_int_equal (flags_of (&request), cases[i].flags);
  }
}

static void incomplete_command_lines_are_refused (void **state)
{
  const char *none[] = {NULL}, *cut[] = {"upgrade", "-o", NULL};
  autopkgrequest struct pkg_request request = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (classify (none, &request, &err), -ERR_USAGE);
  assert_int_equal (classify (cut, &request, &err), -ERR_USAGE);
}

static bool has (const struct names *args, const char *first, const char *second)
{
  for (size_t i = 0; i < args->count; i++)
    if (strcmp (args->items[i], first) == 0 &&
        (!second || (i + 1 < args->count && strcmp (args->items[i + 1], second) == 0)))
      return true;
  return false;
}

static void commands_never_ask (void **state)
{
  static const struct pkg_target target = {.program = "apt-get",
                                           .machine_id = "0123456789abcdef0123456789abcdef"};
  const char *args[] = {"install", "hello", NULL};
  autopkgrequest struct pkg_request request = {0};
  autonames struct names apply = {0}, refresh = {0}, plan = {0}, uris = {0}, none = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (classify (args, &request, &err), 0);
  assert_true (pkg_apt.command (PKG_APPLY, &request, &target, &apply));
  assert_string_equal (apply.items[0], "apt-get");
  assert_true (has (&apply, "install", "hello"));
  assert_true (has (&apply, "-y", NULL));
  assert_true (has (&apply, "-o", "Dpkg::Use-Pty=0"));
  assert_true (has (&apply, "-o", "Dir::Cache::pkgcache="));
  assert_true (has (&apply, "-o", "APT::Machine-ID=0123456789abcdef0123456789abcdef"));
  assert_false (has (&apply, "--error-on=any", NULL));
  assert_true (has (&apply, "-o", "Acquire::Languages=none"));
  assert_true (pkg_apt.command (PKG_REFRESH, &request, &target, &refresh));
  assert_false (has (&refresh, "-o", "Acquire::Languages=none"));
  assert_true (has (&refresh, "--error-on=any", "update"));
  assert_true (pkg_apt.command (PKG_PLAN, &request, &target, &plan));
  assert_true (has (&plan, "--simulate", "install"));
  assert_true (has (&plan, "-o", "Dir::Cache::pkgcache="));
  assert_true (pkg_apt.command (PKG_URIS, &request, &target, &uris));
  assert_true (has (&uris, "-o", "Acquire::ForceHash=SHA256"));
  assert_false (pkg_apt.command (PKG_DOWNLOAD, &request, &target, &none));
  assert_true (pkg_in_list ("DEBIAN_FRONTEND=noninteractive", pkg_apt.environment));
  assert_true (pkg_in_list ("UCF_FORCE_CONFFOLD=1", pkg_apt.environment));
}

static void a_question_keeps_its_cache_where_it_leaves_no_trace (void **state)
{
  static const struct pkg_target target = {
      .program = "apt-get", .machine_id = "0", .throwaway = true};
  const char *args[] = {"upgrade", NULL};
  autopkgrequest struct pkg_request request = {0};
  autonames struct names apply = {0}, uris = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (classify (args, &request, &err), 0);
  assert_true (pkg_apt.command (PKG_URIS, &request, &target, &uris));
  assert_false (has (&uris, "-o", "Dir::Cache::pkgcache="));
  assert_true (has (&uris, "-o", "Dir::Cache::srcpkgcache="));
  assert_true (pkg_apt.command (PKG_APPLY, &request, &target, &apply));
  assert_true (has (&apply, "-o", "Dir::Cache::pkgcache="));
}

static void neutral_verbs_become_apts (void **state)
{
  autonames struct names args = {0};
  autopkgrequest struct pkg_request upgrade = {0}, search = {0}, verify = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (pkg_apt.neutral (PKG_VERB_UPGRADE, &args, &upgrade, &err), 0);
  assert_string_equal (upgrade.verb, "upgrade");
  assert_true (upgrade.plans && upgrade.idle && !upgrade.read_only);
  assert_int_equal (pkg_apt.neutral (PKG_VERB_VERIFY, &args, &verify, &err), 0);
  assert_string_equal (verify.program, "dpkg");
  assert_true (verify.read_only);
  names_add (&args, "-x");
  assert_int_equal (pkg_apt.neutral (PKG_VERB_SEARCH, &args, &search, &err), 0);
  assert_string_equal (search.program, "apt-cache");
  /* What a user looks for is no option. */
  assert_true (has (&search.args, "--", "-x"));
}

static void an_audit_that_says_something_has_failed (void **state)
{
  struct pkg_request request = {0};

  (void) state;
  assert_int_equal (pkg_apt.meaning (PKG_AUDIT, &request, 0, ""), PKG_OK);
  assert_int_equal (pkg_apt.meaning (PKG_AUDIT, &request, 0, "The following packages …"),
                    PKG_FAILED);
  assert_int_equal (pkg_apt.meaning (PKG_PLAN, &request, 0, "Inst …"), PKG_OK);
  assert_int_equal (pkg_apt.meaning (PKG_APPLY, &request, 100, NULL), PKG_FAILED);
}

static void lines_weigh_by_what_they_tell (void **state)
{
  static const struct {
    const char *line;
    struct pkg_line told;
  } cases[] = {
      {"Setting up bad (1.0) ...", {.units = 1}},
      {"Unpacking bad (1.0) ...", {.units = 1}},
      {"dpkg: error processing package bad (--configure):",
       {.weight = PKG_LINE_CAUSE, .continues = true}},
      {"dpkg: error: dpkg frontend lock is locked", {.weight = PKG_LINE_CAUSE}},
      {"E: Sub-process /usr/bin/dpkg returned an error code (1)", {.weight = PKG_LINE_HINT}},
      {"E: Unable to locate package nosuch", {.weight = PKG_LINE_ERROR}},
      {"E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 12 (apt)",
       {.weight = PKG_LINE_ERROR, .busy = true}},
      {"E: Failed to fetch http://x/y  Temporary failure resolving 'x'",
       {.weight = PKG_LINE_ERROR, .network = true}},
      {"W: something", {0}},
      {"", {0}},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct pkg_line told;

    apt_line (cases[i].line, &told);
    assert_int_equal (told.weight, cases[i].told.weight);
    assert_int_equal (told.continues, cases[i].told.continues);
    assert_int_equal (told.network, cases[i].told.network);
    assert_int_equal (told.busy, cases[i].told.busy);
    assert_int_equal (told.units, cases[i].told.units);
  }
}

static void check_change (const struct pkg_change *change, enum pkg_action action, const char *name,
                          const char *old_version, const char *new_version)
{
  assert_int_equal (change->action, action);
  assert_string_equal (change->name, name);
  assert_string_equal (change->old_version ? change->old_version : "-", old_version);
  assert_string_equal (change->new_version ? change->new_version : "-", new_version);
}

static void plans_are_read (void **state)
{
  static const char text[] = "NOTE: This is only a simulation!\n"
                             "      apt-get needs root privileges for real execution.\n"
                             "Reading package lists...\n"
                             "The following packages will be upgraded:\n  libc6\n"
                             "Inst libc6 [2.36-9+deb12u9] (2.36-9+deb12u13 Debian:12.9/stable, "
                             "Debian-Security:12/stable-security [amd64]) [libc-bin:amd64 ]\n"
                             "Conf libc6 (2.36-9+deb12u13 Debian:12.9/stable [amd64])\n"
                             "Inst hello (2.10-3 Debian:12.9/stable [amd64])\n"
                             "Inst same [1.0] (1.0 Debian:12.9/stable [all])\n"
                             "Inst zlib1g:i386 (1:1.2.13 x [i386])\n"
                             "Remv old [1.0] [other:amd64 ]\n"
                             "Purg older [2.0]";
  autopkgchanges struct pkg_changes changes = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (apt_parse_plan (text, sizeof text - 1, &changes, &err), 0);
  assert_int_equal (changes.count, 6);
  check_change (&changes.items[0], PKG_UPGRADE, "libc6", "2.36-9+deb12u9", "2.36-9+deb12u13");
  check_change (&changes.items[1], PKG_INSTALL, "hello", "-", "2.10-3");
  check_change (&changes.items[2], PKG_REINSTALL, "same", "1.0", "1.0");
  check_change (&changes.items[3], PKG_INSTALL, "zlib1g:i386", "-", "1:1.2.13");
  check_change (&changes.items[4], PKG_REMOVE, "old", "1.0", "-");
  check_change (&changes.items[5], PKG_REMOVE, "older", "2.0", "-");
}

static void plans_that_make_no_sense_are_refused (void **state)
{
  static const char *const texts[] = {"Inst",      "x\nInst a",        "Inst a [1]",
                                      "Inst a ()", "Inst a\x01 (1 x)", "Remv"};

  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    autopkgchanges struct pkg_changes changes = {0};
    autoerr struct err err = {0};

    assert_int_equal (apt_parse_plan (texts[i], strlen (texts[i]), &changes, &err), -EINVAL);
    assert_non_null (strstr (err_text (&err), "line "));
  }
}

#define SHA256 "3d8c29c8c21ec6007635e1b2591edf98b771c9572a085968f47452b33040f384"

static void uris_are_read (void **state)
{
  static const char text[] =
      "Reading package lists...\n"
      "'http://mirror/a/liblzma5_5.4.1-1%2bdeb12u2_amd64.deb' liblzma5_5.4.1-1+deb12u2_amd64.deb "
      "205796 SHA256:" SHA256 "\n"
      "'copy:///srv/repo/x.deb' x.deb 7 MD5Sum:d04c2e9639dee67aa836d8232b1ca658\n"
      "'http://mirror/y.deb' y.deb 8 \n";
  autopkgfiles struct pkg_files files = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (apt_parse_uris (text, sizeof text - 1, &files, &err), 0);
  assert_int_equal (files.count, 3);
  assert_string_equal (files.items[0].uri, "http://mirror/a/liblzma5_5.4.1-1%2bdeb12u2_amd64.deb");
  assert_string_equal (files.items[0].name, "liblzma5_5.4.1-1+deb12u2_amd64.deb");
  assert_int_equal (files.items[0].size, 205796);
  assert_string_equal (files.items[0].hash_kind, "sha256");
  assert_string_equal (files.items[0].hash, SHA256);
  assert_string_equal (files.items[1].hash_kind, "md5");
  assert_null (files.items[2].hash_kind);
}

static void uris_that_lead_elsewhere_are_refused (void **state)
{
  static const char *const texts[] = {
      "'http://x/y' ../../etc/passwd 1 \n",
      "'http://x/y' /etc/passwd 1 \n",
      "'http://x/y' .. 1 \n",
      "'http://x/y' .hidden 1\n",
      "'http://x/y' y.deb x\n",
      "'http://x/y' y.deb\n",
      "'http://x/y y.deb 1\n",
      "'' y.deb 1\n",
      "'http://x/\x01' y.deb 1\n",
      "'http://x/y' y.deb 1 SHA256:12\n",
      "'http://x/y' y.deb 99999999999999999999\n",
  };

  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    autopkgfiles struct pkg_files files = {0};
    autoerr struct err err = {0};

    assert_int_equal (apt_parse_uris (texts[i], strlen (texts[i]), &files, &err), -EINVAL);
    assert_int_equal (files.count, 0);
  }
}

static void take_line (void *data, const char *line)
{
  strbuf_addf (data, "[%s]", line);
}

static void output_is_cut_into_lines (void **state)
{
  autostrbuf struct strbuf seen = STRBUF_INIT (1 << 20);
  autorunlog struct runlog log = {.fd = -1};
  autofree char *longest = xcalloc (1, RUNLOG_LINE_MAX + 100);

  (void) state;
  runlog_start (take_line, &seen, &log);
  runlog_output (&log, "one\ntw", 6);
  runlog_output (&log, "o\n\nthr\033ee", 9);
  runlog_note (&log, "%d", 4);
  runlog_end (&log);
  assert_string_equal (strbuf_str (&seen), "[one][two][][thr ee][vguest: 4]");
  assert_string_equal (runlog_tail (&log, 0), "one");
  assert_string_equal (runlog_tail (&log, 4), "vguest: 4");
  assert_null (runlog_tail (&log, 5));

  memset (longest, 'x', RUNLOG_LINE_MAX + 50);
  runlog_output (&log, longest, strlen (longest));
  runlog_output (&log, "\n", 1);
  assert_int_equal (strlen (runlog_tail (&log, 5)), RUNLOG_LINE_MAX);
  for (int i = 0; i < 30; i++)
    runlog_note (&log, "%d", i);
  assert_string_equal (runlog_tail (&log, 0), "vguest: 10");
  assert_string_equal (runlog_tail (&log, RUNLOG_TAIL - 1), "vguest: 29");
  assert_null (runlog_tail (&log, RUNLOG_TAIL));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (command_lines_are_understood),
      cmocka_unit_test (incomplete_command_lines_are_refused),
      cmocka_unit_test (commands_never_ask),
      cmocka_unit_test (a_question_keeps_its_cache_where_it_leaves_no_trace),
      cmocka_unit_test (neutral_verbs_become_apts),
      cmocka_unit_test (an_audit_that_says_something_has_failed),
      cmocka_unit_test (lines_weigh_by_what_they_tell),
      cmocka_unit_test (plans_are_read),
      cmocka_unit_test (plans_that_make_no_sense_are_refused),
      cmocka_unit_test (uris_are_read),
      cmocka_unit_test (uris_that_lead_elsewhere_are_refused),
      cmocka_unit_test (output_is_cut_into_lines),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
