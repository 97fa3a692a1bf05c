/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "unify/policy.h"

static unsigned verdict (const struct policy *policy, const char *path)
{
  return rules_verdict (&policy->rules, FOLD_SHARED, path);
}

static void deeper_matches_override (void **state)
{
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (policy_parse ("private /var/lib\n"
                                  "eager /var/lib/dpkg # the database\n"
                                  "\n"
                                  "any-mtime /var/lib/dpkg\n"
                                  "drop /var/cache/*.bin\n"
                                  "any-mtime __pycache__\r\n",
                                  "test", &policy, &err),
                    0);
  assert_int_equal (verdict (&policy, "/var/lib/mysql/x"), FOLD_PRIVATE);
  assert_int_equal (verdict (&policy, "/var/lib/dpkg/status"), FOLD_EAGER | FOLD_ANY_MTIME);
  assert_int_equal (verdict (&policy, "/var/cache/a.bin"), FOLD_DROP);
  assert_int_equal (verdict (&policy, "/var/cache/a.bin2"), FOLD_SHARED);
  assert_int_equal (verdict (&policy, "/var"), FOLD_SHARED);
  assert_int_equal (verdict (&policy, "/usr/lib/__pycache__/a.pyc"), FOLD_SHARED | FOLD_ANY_MTIME);
  assert_int_equal (verdict (&policy, "/"), FOLD_SHARED);
}

static void later_lines_win_at_one_depth (void **state)
{
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (
      policy_parse ("private /a*\neager /ab\nany-mtime /\nexact-mtime /x", "test", &policy, &err),
      0);
  assert_int_equal (verdict (&policy, "/ab"), FOLD_EAGER | FOLD_ANY_MTIME);
  assert_int_equal (verdict (&policy, "/ac/d"), FOLD_PRIVATE | FOLD_ANY_MTIME);
  assert_int_equal (verdict (&policy, "/x/y"), FOLD_SHARED);
}

static void bad_lines_name_their_place (void **state)
{
  static const struct {
    const char *text;
    const char *message;
  } bad[] = {
      {"private\n", "test, line 1: \"private\" has no path"},
      {"\npublic /a\n", "test, line 2: \"public\" is not private"},
      {"eager a/b", "has a \"/\" inside"},
      {"eager /a/../b", "\"..\""},
      {"eager //a//b", "empty component"},
      {"\v", "line 1"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autopolicy struct policy policy = {0};
    autoerr struct err err = {0};

    assert_int_equal (policy_parse (bad[i].text, "test", &policy, &err), -ERR_USAGE);
    if (!strstr (err_text (&err), bad[i].message))
      fail_msg ("\"%s\" does not say \"%s\"", err_text (&err), bad[i].message);
  }
}

/* The shipped policy must never move what people keep. */
static void the_shipped_policy_is_safe (void **state)
{
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};
  static const char *const never[] = {
      "/home/a/b",
      "/root/.bashrc",
      "/srv/x",
      "/var/log/syslog",
      "/var/lib/mysql/ibdata1",
      "/var/lib/postgresql/15/main/base/1/2",
      "/var/mail/root",
      "/var/spool/cron/crontabs/root",
      "/etc/machine-id",
      "/etc/ssh/ssh_host_ed25519_key",
      "/etc/shadow",
      "/tmp/x",
      "/usr/local/bin/x",
      "/var/cache/debconf/passwords.dat",
  };

  (void) state;
  setenv ("VGUEST_POLICY", "", 1);
  assert_int_equal (policy_load (-1, &policy, &err), 0);
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
    if ((verdict (&policy, never[i]) & FOLD_CLASS_MASK) != FOLD_PRIVATE)
      fail_msg ("%s is not private", never[i]);
  assert_int_equal (verdict (&policy, "/usr/lib/x86_64-linux-gnu/libc.so.6"), FOLD_EAGER);
  assert_int_equal (verdict (&policy, "/var/cache/apt/pkgcache.bin"), FOLD_DROP);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (deeper_matches_override),
      cmocka_unit_test (later_lines_win_at_one_depth),
      cmocka_unit_test (bad_lines_name_their_place),
      cmocka_unit_test (the_shipped_policy_is_safe),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
