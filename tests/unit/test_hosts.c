/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "guest/identity.h"
#include "tree/clone.h"

static void assert_hosts (const char *text, const char *old, const char *hostname,
                          const char *expected)
{
  autofree char *result = hosts_rewrite (text, old, hostname);

  assert_string_equal (result, expected);
}

static void the_own_line_is_replaced_or_added (void **state)
{
  (void) state;
  assert_hosts ("", NULL, "web", "127.0.1.1\tweb\n");
  assert_hosts ("127.0.0.1 localhost\n127.0.1.1 a.b a\n::1 localhost\n", NULL, "web",
                "127.0.0.1 localhost\n127.0.1.1\tweb\n::1 localhost\n");
  assert_hosts ("127.0.1.1 a\n 127.0.1.1 b\n", NULL, "web", "127.0.1.1\tweb\n");
  assert_hosts ("# c\n127.0.0.1 localhost\n::1 localhost", NULL, "www.example.org",
                "# c\n127.0.0.1 localhost\n127.0.1.1\twww.example.org www\n::1 localhost\n");
  assert_hosts ("127.0.1.10 x\n127.0.1.1# c\n", NULL, "web", "127.0.1.10 x\n127.0.1.1\tweb\n");
}

static void the_old_name_goes_from_loopback_addresses (void **state)
{
  (void) state;
  assert_hosts ("127.0.0.1  localhost\told  # old\n::1 OLD oldest\n", "old", "web",
                "127.0.0.1  localhost\tweb  # old\n127.0.1.1\tweb\n::1 web oldest\n");
  assert_hosts ("127.0.0.2 old.example.org old\n", "old", "web",
                "127.0.1.1\tweb\n127.0.0.2 web.example.org web\n");
  assert_hosts ("127.0.0.2 old.a.b old\n", "old.a.b", "new.c.d",
                "127.0.1.1\tnew.c.d new\n127.0.0.2 new.c.d new\n");
}

static void at_other_addresses_it_still_means_the_source (void **state)
{
  (void) state;
  assert_hosts ("10.0.0.1 old\n", "old", "web", "127.0.1.1\tweb\n10.0.0.1 old\n");
  assert_hosts ("127.0.0.1 localhost\n", "localhost", "web",
                "127.0.0.1 localhost\n127.0.1.1\tweb\n");
}

static void a_renamed_host_keeps_the_rest (void **state)
{
  static const char *const cases[][4] = {
      {"web", "db", "127.0.0.1 localhost\n127.0.1.1 web.lan web alias # web\n::1 web\n10.0.0.1 web",
       "127.0.0.1 localhost\n127.0.1.1 db.lan db alias # web\n::1 db\n10.0.0.1 web"},
      {"web", "db", "# 127.0.0.1 web\n\n127.0.1.1\twebs web.\n",
       "# 127.0.0.1 web\n\n127.0.1.1\twebs db.\n"},
      {"web", "web.lan", "127.0.1.1 web\n", "127.0.1.1 web\n"},
      {"localhost", "db", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n"},
      {"web", "db", "", ""},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autofree char *once = hosts_rename (cases[i][2], cases[i][0], cases[i][1]);
    autofree char *twice = hosts_rename (once, cases[i][0], cases[i][1]);

    assert_string_equal (once, cases[i][3]);
    assert_string_equal (twice, once);
  }
}

static void a_mail_name_is_renamed_with_its_domain (void **state)
{
  autofree char *alone = mailname_rename ("web\n", "web", "db");
  autofree char *domain = mailname_rename (" web.example.org\n", "web", "db");
  autofree char *other = mailname_rename ("example.org\n", "web", "db");
  autofree char *empty = mailname_rename ("", "web", "db");

  (void) state;
  assert_string_equal (alone, "db\n");
  assert_string_equal (domain, " db.example.org\n");
  assert_string_equal (other, "example.org\n");
  assert_string_equal (empty, "");
}

static void policies_are_parsed (void **state)
{
  autoerr struct err err = {0};
  autoclonepolicy struct clone_policy policy = {0};

  (void) state;
  assert_int_equal (clone_policy_parse ("# c\n\n remove /etc/ssh/ssh_host_*  # d\r\n"
                                        "remove name\nempty\t/etc/machine-id",
                                        "test", &policy, &err),
                    0);
  assert_int_equal (policy.empty.count, 1);
  assert_string_equal (policy.empty.items[0], "/etc/machine-id");
  assert_int_equal (rules_verdict (&policy.rules, 0, "/etc/ssh/ssh_host_rsa_key"), CLONE_SKIP);
  assert_int_equal (rules_verdict (&policy.rules, 0, "/etc/machine-id"), CLONE_SKIP);
  assert_int_equal (rules_verdict (&policy.rules, 0, "/a/name"), CLONE_SKIP);
  assert_int_equal (rules_verdict (&policy.rules, 0, "/etc/ssh/sshd_config"), 0);
}

static void bad_policies_tell_the_line (void **state)
{
  static const char *const bad[] = {"\nfoo /x",  "\nremove",      "\nremove  ",
                                    "\nempty x", "\nempty /a*",   "\nremove a//b",
                                    "\nown a/b", "\nown /a/**/b", "\nown /**"};

  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autoerr struct err err = {0};
    autoclonepolicy struct clone_policy policy = {0};

    assert_int_equal (clone_policy_parse (bad[i], "test", &policy, &err), -ERR_USAGE);
    assert_non_null (strstr (err_text (&err), "test, line 2"));
  }
}

static void the_built_in_policy_is_good (void **state)
{
  autoerr struct err err = {0};
  autoclonepolicy struct clone_policy policy = {0};
  extern const char clone_policy_default[];

  (void) state;
  assert_int_equal (clone_policy_parse (clone_policy_default, "built-in", &policy, &err), 0);
  assert_int_equal (rules_verdict (&policy.rules, 0, "/etc/ssh/ssh_host_rsa_key"), CLONE_SKIP);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_own_line_is_replaced_or_added),
      cmocka_unit_test (the_old_name_goes_from_loopback_addresses),
      cmocka_unit_test (at_other_addresses_it_still_means_the_source),
      cmocka_unit_test (a_renamed_host_keeps_the_rest),
      cmocka_unit_test (a_mail_name_is_renamed_with_its_domain),
      cmocka_unit_test (policies_are_parsed),
      cmocka_unit_test (bad_policies_tell_the_line),
      cmocka_unit_test (the_built_in_policy_is_good),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
