/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "pkg/apt.h"
#include "pkg/runlog.h"

enum { RO = 1, UPDATE = 2, LISTS = 4, NOTHING = 8 };

static void command_lines_are_understood (void **state)
{
  static struct {
    const char *args[8];
    const char *verb;
    unsigned flags;
  } cases[] = {
      {{"update"}, "update", UPDATE},
      {{"upgrade"}, "upgrade", LISTS | NOTHING},
      {{"-y", "dist-upgrade"}, "dist-upgrade", LISTS | NOTHING},
      {{"-s", "upgrade"}, "upgrade", RO | LISTS | NOTHING},
      {{"-ys", "upgrade"}, "upgrade", RO | LISTS | NOTHING},
      {{"upgrade", "--dry-run"}, "upgrade", RO | LISTS | NOTHING},
      {{"-o", "A::B=install", "update"}, "update", UPDATE},
      {{"-oA::B=s", "update"}, "update", UPDATE},
      {{"-yt", "stable", "install", "x"}, "install", LISTS | NOTHING},
      {{"--option", "-s", "remove", "x"}, "remove", NOTHING},
      {{"--option=-s", "purge", "x"}, "purge", NOTHING},
      {{"install", "--", "-s"}, "install", LISTS | NOTHING},
      {{"--version"}, "", RO},
      {{"-v"}, "", RO},
      {{"-q"}, "", RO},
      {{"show", "x"}, "show", RO},
      {{"clean"}, "clean", 0},
      {{"--print-uris", "install", "x"}, "install", RO | LISTS | NOTHING},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct apt_request request = {0};
    autoerr struct err err = {0};

    assert_int_equal (apt_classify (cases[i].args, &request, &err), 0);
    assert_string_equal (request.verb, cases[i].verb);
    unsigned flags = (request.read_only ? RO : 0) | (request.update ? UPDATE : 0) |
                     (request.needs_lists ? LISTS : 0) | (request.may_do_nothing ? NOTHING : 0);
    assert_int_equal (flags, cases[i].flags);
  }
}

static void incomplete_command_lines_are_refused (void **state)
{
  const char *none[] = {NULL}, *cut[] = {"upgrade", "-o", NULL};
  struct apt_request request;
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (apt_classify (none, &request, &err), -ERR_USAGE);
  assert_int_equal (apt_classify (cut, &request, &err), -ERR_USAGE);
}

static bool has_pair (const char *const *args, const char *first, const char *second)
{
  for (; args[0] && args[1]; args++)
    if (strcmp (args[0], first) == 0 && strcmp (args[1], second) == 0)
      return true;
  return false;
}

static bool has (const char *const *args, const char *word)
{
  while (*args && strcmp (*args, word) != 0)
    args++;
  return *args != NULL;
}

static void commands_never_ask (void **state)
{
  const char *args[] = {"install", "hello", NULL};
  char id[] = "0123456789abcdef";
  struct vroot root = {.id = id};
  struct apt_request request = {0};
  autoaptcommands struct apt_commands commands = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (apt_classify (args, &request, &err), 0);
  apt_commands_make (&root, &request, /* refresh= */ true, &commands);
  assert_int_equal (commands.count, 2);
  assert_true (has (commands.items[0].args, "update"));
  assert_true (has (commands.items[0].args, "--error-on=any"));
  assert_false (has (commands.items[1].args, "--error-on=any"));
  assert_string_equal (commands.items[1].args[0], "apt-get");
  assert_true (has_pair (commands.items[1].args, "install", "hello"));
  assert_true (has (commands.items[1].args, "-y"));
  assert_true (has_pair (commands.items[1].args, "-o", "Dpkg::Use-Pty=0"));
  assert_true (has_pair (commands.items[1].args, "-o", "Dir::Cache::pkgcache="));
  assert_true (
      has_pair (commands.items[1].args, "-o", "APT::Machine-ID=0123456789abcdef0123456789abcdef"));
  assert_true (has (commands.items[1].env, "DEBIAN_FRONTEND=noninteractive"));
  assert_true (has (commands.items[1].env, "UCF_FORCE_CONFFOLD=1"));
}

static void the_telling_line_is_found (void **state)
{
  static const struct {
    const char *lines[6];
    const char *reason;
  } cases[] = {
      {{"Setting up bad (1.0) ...", "dpkg: error processing package bad (--configure):",
        " installed bad package post-installation script subprocess returned error exit status 1",
        "Errors were encountered while processing:", " bad",
        "E: Sub-process /usr/bin/dpkg returned an error code (1)"},
       "dpkg: error processing package bad (--configure): installed bad package post-installation "
       "script subprocess returned error exit status 1"},
      {{"Reading package lists...", "E: Unable to locate package nosuch", "E: second"},
       "E: Unable to locate package nosuch"},
      {{"W: something", "the last words", ""}, "the last words"},
      {{""}, NULL},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct apt_reason reason = {0};

    for (size_t j = 0; j < 6 && cases[i].lines[j]; j++)
      apt_reason_line (&reason, cases[i].lines[j]);
    if (cases[i].reason)
      assert_string_equal (apt_reason_text (&reason), cases[i].reason);
    else
      assert_null (apt_reason_text (&reason));
    apt_reason_release (&reason);
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
      cmocka_unit_test (the_telling_line_is_found),
      cmocka_unit_test (output_is_cut_into_lines),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
