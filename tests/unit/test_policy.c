/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "unify/policy.h"
#include "util/fd.h"

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
      {"exclude\n", "has no path"},
      {"exclude size>big /a", "wants a number, with K, M, G or T"},
      {"exclude size>1KB /a", "wants a number"},
      {"exclude size>9999999999G /a", "wants a number"},
      {"include owner=root /a", "\"owner\" wants a number, not \"root\""},
      {"include size<0", "no file can have"},
      {"include owner>10 owner<5 /a", "no file can have \"owner<5\""},
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

static unsigned settled (const struct policy *policy, const char *path, off_t size, uid_t owner)
{
  struct stat st = {.st_size = size, .st_uid = owner};
  struct policy_reason reason;
  unsigned verdict =
      rules_settle (&policy->rules, rules_verdict (&policy->rules, FOLD_SHARED, path), &st);

  policy_explain (policy, path, &st, &reason);
  assert_int_equal (reason.verdict, verdict);
  return verdict;
}

static void the_first_matching_line_decides (void **state)
{
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (policy_parse ("private /srv\n"
                                  "eager /usr\n"
                                  "drop /var/cache/x\n"
                                  "include size<1M owner=33 /srv/www/**/*.js\n"
                                  "exclude owner>=1000 owner<=1999\n"
                                  "include /srv/pool and more\n"
                                  "exclude /srv/pool and more/x\n"
                                  "exclude size>=2G /usr/**\n"
                                  "include /var/cache/x\n"
                                  "keep-mtime /usr/a/keep\n"
                                  "relax-mtime /usr/**/a/**.idx\n"
                                  "relax-mtime size<4K /usr/a\n",
                                  "test", &policy, &err),
                    0);
  assert_int_equal (settled (&policy, "/srv/www/a/b/c.js", 5, 33), FOLD_SHARED);
  assert_int_equal (settled (&policy, "/srv/www/a/b/c.js", 1 << 20, 33), FOLD_PRIVATE);
  assert_int_equal (settled (&policy, "/srv/www/a/b/c.js", 5, 34), FOLD_PRIVATE);
  assert_int_equal (settled (&policy, "/srv/pool and more/x", 5, 0), FOLD_SHARED);
  assert_int_equal (settled (&policy, "/srv/pool and more/x", 5, 1999), FOLD_PRIVATE);
  assert_int_equal (settled (&policy, "/usr/bin/x", 5, 0), FOLD_EAGER);
  assert_int_equal (settled (&policy, "/usr/bin/x", (off_t) 2 << 30, 0), FOLD_PRIVATE);
  assert_int_equal (settled (&policy, "/usr/bin/x", 5, 1000), FOLD_PRIVATE);
  assert_int_equal (settled (&policy, "/var/cache/x/y", 5, 0), FOLD_EAGER);
  assert_int_equal (settled (&policy, "/usr/b/a/c/d.idx", 5, 0), FOLD_EAGER | FOLD_ANY_MTIME);
  assert_int_equal (settled (&policy, "/usr/a/keep/d.idx", 5, 0), FOLD_EAGER);
  assert_int_equal (settled (&policy, "/usr/a/small", 4095, 0), FOLD_EAGER | FOLD_ANY_MTIME);
  assert_int_equal (settled (&policy, "/usr/a/small", 4096, 0), FOLD_EAGER);
}

static void lines_are_told (void **state)
{
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};
  struct policy_reason reason;
  struct stat st = {.st_size = 10};

  (void) state;
  assert_int_equal (policy_parse ("eager /usr\n\neager /usr/l**b/x # why\nexclude size>5 /usr/lib",
                                  "one", &policy, &err),
                    0);
  policy_explain (&policy, "/usr/lib/x/y", NULL, &reason);
  assert_int_equal (reason.verdict, FOLD_EAGER);
  assert_string_equal (reason.by_class->file, "one");
  assert_int_equal (reason.by_class->number, 3);
  assert_string_equal (reason.by_class->text, "eager /usr/l**b/x");
  assert_null (reason.by_mtime);
  policy_explain (&policy, "/usr/lib/x/y", &st, &reason);
  assert_int_equal (reason.verdict, FOLD_PRIVATE);
  assert_int_equal (reason.by_class->number, 4);
}

/* A guest's first-match rules go before the host's, and its layered ones as well. */
static void a_guest_goes_before_the_host (void **state)
{
  char dir[] = "/tmp/vguest-policy-XXXXXX";
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_non_null (mkdtemp (dir));
  autoclose int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoclose int host = openat (fd, "host", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  autoclose int own = openat (fd, "unify.policy", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  static const char host_text[] = "eager /usr\nexclude /srv/**\n";
  static const char own_text[] = "shared /usr\ninclude /srv/app\nprivate /srv\n";
  assert_int_equal (write (host, host_text, strlen (host_text)), strlen (host_text));
  assert_int_equal (write (own, own_text, strlen (own_text)), strlen (own_text));
  autofree char *path = xasprintf ("%s/host", dir);
  setenv ("VGUEST_POLICY", path, 1);
  int ret = policy_load (fd, &policy, &err);
  setenv ("VGUEST_POLICY", "", 1);
  unlinkat (fd, "host", 0);
  unlinkat (fd, "unify.policy", 0);
  rmdir (dir);
  assert_int_equal (ret, 0);
  assert_int_equal (verdict (&policy, "/usr/x"), FOLD_SHARED);
  assert_int_equal (verdict (&policy, "/srv/app/x"), FOLD_SHARED);
  assert_int_equal (verdict (&policy, "/srv/x"), FOLD_PRIVATE);
}

/* Where a program compares the mtime with another file's, it stays. */
static void the_shipped_policy_relaxes_what_was_made (void **state)
{
  static const char *const relaxed[] = {
      "/usr/lib/python3/dist-packages/x/__pycache__/a.cpython-311.pyc",
      "/usr/lib/python2.7/os.pyc",
      "/var/lib/dpkg/info/bash.list",
      "/etc/ld.so.cache",
      "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
      "/usr/lib64/gconv/gconv-modules.cache",
      "/etc/ssl/certs/ca-certificates.crt",
      "/var/cache/fontconfig/x.cache-8",
      "/usr/share/glib-2.0/schemas/gschemas.compiled",
      "/boot/initrd.img-6.1.0",
      "/var/lib/pacman/local/bash-5.2/mtree",
      "/usr/share/mime/globs2",
  };
  static const char *const exact[] = {
      "/usr/lib/python3/dist-packages/x/a.py",
      "/usr/share/icons/hicolor/icon-theme.cache",
      "/var/cache/man/index.db",
      "/usr/share/mime/mime.cache",
      "/usr/share/mime/packages/freedesktop.org.xml",
      "/usr/src/linux/Makefile",
      "/usr/share/emacs/site-lisp/a.elc",
      "/usr/lib/x86_64-linux-gnu/gio/modules/giomodule.cache",
      "/lib/modules/6.1.0/modules.dep",
      "/usr/bin/bash",
  };
  autopolicy struct policy policy = {0};
  autoerr struct err err = {0};

  (void) state;
  setenv ("VGUEST_POLICY", "", 1);
  assert_int_equal (policy_load (-1, &policy, &err), 0);
  for (size_t i = 0; i < sizeof relaxed / sizeof relaxed[0]; i++)
    if (!(verdict (&policy, relaxed[i]) & FOLD_ANY_MTIME))
      fail_msg ("%s keeps its mtime", relaxed[i]);
  for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
    if (verdict (&policy, exact[i]) & FOLD_ANY_MTIME)
      fail_msg ("%s does not keep its mtime", exact[i]);
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
      cmocka_unit_test (the_first_matching_line_decides),
      cmocka_unit_test (lines_are_told),
      cmocka_unit_test (a_guest_goes_before_the_host),
      cmocka_unit_test (the_shipped_policy_relaxes_what_was_made),
      cmocka_unit_test (the_shipped_policy_is_safe),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
