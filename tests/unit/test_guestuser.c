/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "runtime/guestuser.h"
#include "util/fd.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "short:x:5:5:too few:/\n"
                             "# a comment\n"
                             "www:x:33:33::/var/www:\n"
                             "nohome:x:40:41:::/bin/zsh\n"
                             "evil:x:99999999999:1::/:/bin/sh\n"
                             "none:x:4294967295:1::/:/bin/sh\n"
                             "minus:x:-1:1::/:/bin/sh\n"
                             "many:x:50:50:a:b:/:/bin/sh\n"
                             "latin:x:60:60::/h\xf6me:/bin/sh\n"
                             "1000:x:7:8::/seven:/bin/sh\n"
                             "web:x:1000:1000:Web,,,:/home/web:/usr/bin/fish";

static const char group[] = "root:x:0:\n"
                            "adm:x:4:web,www\n"
                            "www:x:33:\n"
                            "webby:x:70:webx,xweb\n"
                            "audio:x:29:a,web\n"
                            "again:x:29:web\n"
                            "own:x:1000:web\n"
                            "broken:x:zz:web\n"
                            "nothing\n"
                            "last:x:3:web";

static int find (const char *spec, struct guestuser *user, struct err *err)
{
  return guestuser_parse (passwd, strlen (passwd), group, strlen (group), spec, user, err);
}

static void names_and_numbers_are_found (void **state)
{
  autoguestuser struct guestuser web = {0}, number = {0}, www = {0}, seven = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (find ("web", &web, &err), 0);
  assert_int_equal (web.uid, 1000);
  assert_int_equal (web.gid, 1000);
  assert_string_equal (web.name, "web");
  assert_string_equal (web.home, "/home/web");
  assert_string_equal (web.shell, "/usr/bin/fish");
  assert_int_equal (web.group_count, 3);
  assert_int_equal (web.groups[0], 3);
  assert_int_equal (web.groups[1], 4);
  assert_int_equal (web.groups[2], 29);

  assert_int_equal (find ("33", &number, &err), 0);
  assert_string_equal (number.name, "www");
  assert_string_equal (number.shell, "/bin/sh");
  assert_int_equal (number.group_count, 1);

  /* A name comes before a number. */
  assert_int_equal (find ("1000", &seven, &err), 0);
  assert_int_equal (seven.uid, 7);

  assert_int_equal (find ("www:adm", &www, &err), 0);
  assert_int_equal (www.gid, 4);
  assert_int_equal (www.group_count, 0);
}

static void numbers_without_a_line_are_taken (void **state)
{
  autoguestuser struct guestuser user = {0}, root = {0}, with_group = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (find ("1234", &user, &err), 0);
  assert_int_equal (user.uid, 1234);
  assert_int_equal (user.gid, 1234);
  assert_null (user.name);
  assert_string_equal (user.home, "/");
  assert_int_equal (find ("1234:99", &with_group, &err), 0);
  assert_int_equal (with_group.gid, 99);
  assert_int_equal (guestuser_parse ("", 0, "", 0, "root", &root, &err), 0);
  assert_int_equal (root.uid, 0);
  assert_string_equal (root.home, "/root");
  assert_string_equal (root.shell, "/bin/sh");
}

static void malformed_lines_are_not_there (void **state)
{
  static const char *const names[] = {
      "short",      "evil", "none",        "minus", "many",        "ghost",  "",
      "4294967295", ":adm", "www:nogroup", "www:",  "# a comment", "web:-1", NULL};

  (void) state;
  for (const char *const *name = names; *name; name++) {
    autoguestuser struct guestuser user = {0};
    autoerr struct err err = {0};

    assert_int_equal (find (*name, &user, &err), -ERR_USAGE);
  }
}

static void what_json_cannot_carry_is_replaced (void **state)
{
  autoguestuser struct guestuser latin = {0}, nohome = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (find ("latin", &latin, &err), 0);
  assert_string_equal (latin.home, "/");
  assert_int_equal (find ("nohome", &nohome, &err), 0);
  assert_string_equal (nohome.home, "/");
  assert_string_equal (nohome.shell, "/bin/zsh");
}

/* A root with an etc, whose passwd the test makes. */
static int make_root (char *template)
{
  assert_non_null (mkdtemp (template));
  int fd = open (template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (fd >= 0);
  assert_int_equal (mkdirat (fd, "etc", 0755), 0);
  return fd;
}

static void drop_root (const char *path)
{
  autoclose int parent = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoerr struct err err = {0};

  assert_int_equal (fd_remove_tree (parent, strrchr (path, '/') + 1, &err), 0);
}

static void hostile_files_are_refused (void **state)
{
  char path[] = "/tmp/vg-guestuser-XXXXXX";
  autoclose int root = make_root (path);

  (void) state;
  for (int kind = 0; kind < 4; kind++) {
    autoguestuser struct guestuser user = {0};
    autoerr struct err err = {0};
    autoclose int fd = -1;

    unlinkat (root, "etc/passwd", 0);
    switch (kind) {
    case 0: /* leads out of the guest: to a file that is not there inside */
      assert_int_equal (symlinkat ("/../../../../../etc/passwd", root, "etc/passwd"), 0);
      assert_int_equal (guestuser_lookup (root, "root", &user, &err), -ELOOP);
      break;
    case 1:
      assert_int_equal (mkfifoat (root, "etc/passwd", 0644), 0);
      assert_int_equal (guestuser_lookup (root, "root", &user, &err), -EINVAL);
      break;
    case 2:
      fd = openat (root, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
      assert_int_equal (ftruncate (fd, (off_t) 1 << 40), 0);
      assert_int_equal (guestuser_lookup (root, "root", &user, &err), -EFBIG);
      break;
    default: /* none at all */
      assert_int_equal (guestuser_lookup (root, "root", &user, &err), 0);
      assert_int_equal (user.uid, 0);
      break;
    }
  }
  drop_root (path);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (names_and_numbers_are_found),
      cmocka_unit_test (numbers_without_a_line_are_taken),
      cmocka_unit_test (malformed_lines_are_not_there),
      cmocka_unit_test (what_json_cannot_carry_is_replaced),
      cmocka_unit_test (hostile_files_are_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
