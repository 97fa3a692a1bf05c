/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a thin guest's layers show, and where its base is. */
#include "guest/base.h"
#include "test.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "util/fd.h"

#define assert_ok(call, err)                                                                       \
  do {                                                                                             \
    if ((call) < 0)                                                                                \
      fail_msg ("%s", err_text (err));                                                             \
  } while (0)

struct place {
  char path[64];
  int fd;
};

static int setup (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);

  snprintf (place->path, sizeof place->path, "/tmp/vg-lower-XXXXXX");
  if (!mkdtemp (place->path))
    return -1;
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = place;
  return place->fd < 0 ? -1 : 0;
}

static int teardown (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  autoclose int tmp_fd = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int ret = fd_remove_tree (tmp_fd, strrchr (place->path, '/') + 1, &err);

  close (place->fd);
  free (place);
  return ret;
}

static void make_dir (int fd, const char *path)
{
  assert_int_equal (mkdirat (fd, path, 0755), 0);
}

static void make_file (int fd, const char *path)
{
  autoclose int file = fd_open (fd, path, O_WRONLY | O_CREAT, 0644);

  assert_true (file >= 0);
}

/* root/templates/t/3/tree with files, and root/guests/g over it. Returns the guest's descriptor. */
static int make_guest (int fd)
{
  static const char *const dirs[] = {
      "templates",
      "templates/t",
      "templates/t/3",
      "templates/t/3/tree",
      "guests",
      "guests/g",
      "guests/g/tree",
      "guests/g/private",
      "guests/g/txn",
      "templates/t/3/tree/a",
      "templates/t/3/tree/b",
      "guests/g/tree/a",
      "guests/g/private/a",
  };

  for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
    make_dir (fd, dirs[i]);
  make_file (fd, "templates/t/3/tree/a/base");
  make_file (fd, "templates/t/3/tree/a/both");
  make_file (fd, "templates/t/3/tree/a/over");
  make_file (fd, "templates/t/3/tree/b/base");
  make_file (fd, "guests/g/tree/a/both");
  make_file (fd, "guests/g/private/a/over");
  int guest = fd_open_dir_beneath (fd, "guests/g");
  assert_true (guest >= 0);
  assert_int_equal (symlinkat ("../../templates/t/3/tree", guest, "base"), 0);
  return guest;
}

static void test_layers_hide (void **state)
{
  struct place *place = *state;
  autoclose int guest = make_guest (place->fd);
  autolower struct lower root = LOWER_NONE, a = LOWER_NONE, b = LOWER_NONE;
  autolowerlists struct lower_lists lists = {0};
  autoerr struct err err = {0};

  assert_ok (lower_open (guest, true, &root, &err), &err);
  assert_ok (lower_child (&root, "a", &a, &err), &err);
  assert_true (a.priv >= 0 && a.tree >= 0 && a.base >= 0);
  assert_int_equal (lower_find_file (&a, "base"), a.base);
  assert_int_equal (lower_find_file (&a, "both"), a.tree);
  assert_int_equal (lower_find_file (&a, "over"), a.priv);
  assert_int_equal (lower_find_file (&a, "none"), -1);
  assert_int_equal (lower_find_file (&root, "a"), -1);
  assert_ok (lower_read (&a, &lists, &err), &err);
  assert_int_equal (lists.priv.count, 1);
  assert_int_equal (lists.tree.count, 1);
  assert_int_equal (lists.base.count, 1);
  assert_string_equal (lists.base.items[0].name, "base");

  assert_ok (lower_lookup (&root, "/b", &b, &err), &err);
  assert_true (b.priv < 0 && b.tree < 0 && b.base >= 0);
  assert_int_equal (lower_top (&b), b.base);
  assert_int_equal (lower_shared_top (&b), b.base);
}

/* A tree whose top is opaque has no base: thin no more. */
static void test_whiteouts_and_opaque (void **state)
{
  struct place *place = *state;
  autolower struct lower root = LOWER_NONE, child = LOWER_NONE, whole = LOWER_NONE;
  autolowerlists struct lower_lists lists = {0};
  autoguestbase struct guest_base base = {0};
  autoerr struct err err = {0};

  if (geteuid () != 0)
    skip ();
  autoclose int guest = make_guest (place->fd);
  autoclose int tree = fd_open_dir (guest, "tree");
  autoclose int a = fd_open_dir (tree, "a");
  assert_ok (layer_whiteout (-1, NULL, tree, "b", &err), &err);
  assert_ok (layer_whiteout (tree, "b", a, "base", &err), &err);
  assert_ok (lower_open (guest, true, &root, &err), &err);
  assert_ok (lower_child (&root, "b", &child, &err), &err);
  assert_int_equal (lower_top (&child), -1);
  assert_ok (lower_child (&root, "a", &child, &err), &err);
  assert_int_equal (lower_find_file (&child, "base"), -1);
  assert_ok (lower_read (&child, &lists, &err), &err);
  assert_int_equal (lists.tree.count, 1);
  assert_int_equal (lists.base.count, 0);
  lower_close (&child);
  assert_ok (layer_set_opaque (a, &err), &err);
  assert_ok (lower_child (&root, "a", &child, &err), &err);
  assert_true (child.tree >= 0 && child.base < 0);

  assert_ok (guest_base_read (guest, &base, &err), &err);
  assert_string_equal (base.template, "t");
  assert_int_equal (base.generation, 3);
  guest_base_release (&base);
  assert_ok (layer_set_opaque (tree, &err), &err);
  assert_ok (lower_open (guest, false, &whole, &err), &err);
  assert_int_equal (whole.base, -1);
  assert_ok (guest_base_read (guest, &base, &err), &err);
  assert_null (base.template);
}

static void test_bad_links (void **state)
{
  static const char *const bad[] = {
      "../../templates/t/3/tree/..", "../../templates/t/0/tree",
      "../../templates/t/3",         "/etc",
      "../../templates/../3/tree",   "../../templates//3/tree",
      "../../templates/t/-1/tree",   "../../templates/t/99999999999999999999/tree",
  };
  struct place *place = *state;
  autoclose int guest = make_guest (place->fd);
  struct lower lower = LOWER_NONE;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autoguestbase struct guest_base base = {0};
    autoerr struct err err = {0};

    assert_int_equal (unlinkat (guest, "base", 0), 0);
    assert_int_equal (symlinkat (bad[i], guest, "base"), 0);
    assert_true (guest_base_read (guest, &base, &err) < 0);
    assert_null (base.template);
  }
  autoerr struct err err = {0};
  assert_int_equal (lower_open (guest, false, &lower, &err), -EUCLEAN);
  assert_non_null (strstr (err_text (&err), "the guest is thin, and its base"));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (test_layers_hide, setup, teardown),
      cmocka_unit_test_setup_teardown (test_whiteouts_and_opaque, setup, teardown),
      cmocka_unit_test_setup_teardown (test_bad_links, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
