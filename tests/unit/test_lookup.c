/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and directories of a guest, found in layers made by hand as the kernel writes them. */
#include "test.h"
#include "guest/names.h"
#include "pkg/lookup.h"
#include "util/fd.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { LAYERS = 3 };

struct place {
  char path[64];
  int fd;
  int layers[LAYERS]; /* "0" is the topmost */
};

static int setup (void **state)
{
  struct place *place = xcalloc (1, sizeof *place);

  *state = place;
  memcpy (place->path, "/tmp/vguest-test.XXXXXX", sizeof "/tmp/vguest-test.XXXXXX");
  if (!mkdtemp (place->path))
    return -1;
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < LAYERS; i++) {
    char name[] = {(char) ('0' + i), '\0'};

    place->layers[i] = fd_make_dir (place->fd, name, 0755);
  }
  return place->layers[LAYERS - 1] < 0 ? -1 : 0;
}

static int teardown (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  autoclose int tmp_fd = open ("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  for (int i = 0; i < LAYERS; i++)
    close (place->layers[i]);
  close (place->fd);
  int ret = fd_remove_tree (tmp_fd, place->path + strlen ("/tmp/"), &err);
  free (place);
  return ret;
}

/* The directories on the way to @path, which is not made itself. */
static void make_parents (const struct place *place, const char *path)
{
  for (const char *slash = strchr (path, '/'); slash; slash = strchr (slash + 1, '/')) {
    autofree char *directory = xstrndup (path, (size_t) (slash - path));

    assert_true (mkdirat (place->fd, directory, 0755) == 0 || errno == EEXIST);
  }
}

static void make_dir (const struct place *place, const char *path)
{
  make_parents (place, path);
  assert_true (mkdirat (place->fd, path, 0755) == 0 || errno == EEXIST);
}

static void write_file (const struct place *place, const char *path, const char *text)
{
  make_parents (place, path);
  autoclose int fd = fd_open (place->fd, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, text, strlen (text)), 0);
}

static void make_whiteout (const struct place *place, const char *path)
{
  make_parents (place, path);
  assert_int_equal (mknodat (place->fd, path, S_IFCHR, makedev (0, 0)), 0);
}

static void set_form (const struct place *place, const char *path, const char *form,
                      const char *value)
{
  autofree char *proc = fd_proc_path (place->fd, path);
  autofree char *name = xasprintf ("trusted.overlay.%s", form);

  assert_int_equal (lsetxattr (proc, name, value, strlen (value), 0), 0);
}

static bool may_make_layers (void)
{
  return geteuid () == 0;
}

static int read_file (const struct place *place, const char *path, char **ret_text, struct err *err)
{
  size_t len = 0;

  *ret_text = NULL;
  return pkg_lookup_file (place->layers, LAYERS, path, 100, ret_text, &len, err);
}

/* @text NULL: the file must not be seen. */
static void assert_file (const struct place *place, const char *path, const char *text)
{
  autofree char *found = NULL;
  autoerr struct err err = {0};
  int ret = read_file (place, path, &found, &err);

  assert_string_equal (err.code ? err_text (&err) : "", "");
  assert_int_equal (ret, text != NULL);
  if (text)
    assert_string_equal (found, text);
}

static int add_name (void *data, const char *name, struct err *err)
{
  struct names *names = data;

  (void) err;
  names_add (names, name);
  return 0;
}

static void assert_dirs (const struct place *place, const char *path, const char *const *expected)
{
  autopkglookup struct pkg_lookup lookup = {0};
  autonames struct names names = {0};
  autoerr struct err err = {0};
  size_t count = 0;

  assert_int_equal (pkg_lookup_dir (place->layers, LAYERS, path, &lookup, &err), 0);
  assert_int_equal (pkg_lookup_each_dir (&lookup, add_name, &names, &err), 0);
  for (; expected[count]; count++)
    assert_true (names_has (&names, expected[count]));
  assert_int_equal (names.count, count);
}

static void the_topmost_file_is_read (void **state)
{
  struct place *place = *state;

  write_file (place, "2/lib/db/installed", "old");
  assert_file (place, "lib/db/installed", "old");
  write_file (place, "1/lib/db/installed", "new");
  assert_file (place, "lib/db/installed", "new");
  assert_file (place, "lib/db/other", NULL);
  assert_file (place, "lib/none/installed", NULL);
  write_file (place, "2/top", "top");
  assert_file (place, "top", "top");
}

static void what_was_removed_is_not_seen (void **state)
{
  struct place *place = *state;

  if (!may_make_layers ())
    skip ();
  write_file (place, "2/lib/a", "a");
  write_file (place, "2/lib/b/c", "c");
  make_whiteout (place, "0/lib/a");
  make_whiteout (place, "1/lib/b");
  assert_file (place, "lib/a", NULL);
  assert_file (place, "lib/b/c", NULL);
  /* Made again: nothing of the old one shines through. */
  make_dir (place, "0/lib/b");
  set_form (place, "0/lib/b", "opaque", "y");
  assert_file (place, "lib/b/c", NULL);
  write_file (place, "0/lib/b/d", "d");
  assert_file (place, "lib/b/d", "d");
}

static void a_copy_of_the_metadata_has_its_data_below (void **state)
{
  struct place *place = *state;
  autofree char *text = NULL;
  autoerr struct err err = {0};

  if (!may_make_layers ())
    skip ();
  write_file (place, "2/lib/installed", "data");
  write_file (place, "1/lib/installed", "");
  set_form (place, "1/lib/installed", "metacopy", "");
  assert_file (place, "lib/installed", "data");
  set_form (place, "1/lib/installed", "redirect", "other");
  assert_int_equal (read_file (place, "lib/installed", &text, &err), -EXDEV);
}

static void files_that_say_they_are_removed_are (void **state)
{
  struct place *place = *state;

  if (!may_make_layers ())
    skip ();
  write_file (place, "2/lib/installed", "data");
  write_file (place, "1/lib/installed", "");
  set_form (place, "1/lib/installed", "whiteout", "y");
  assert_file (place, "lib/installed", "");
  set_form (place, "1/lib", "opaque", "x");
  assert_file (place, "lib/installed", NULL);
}

static void symlinks_lead_nowhere (void **state)
{
  struct place *place = *state;

  write_file (place, "2/usr/lib/installed", "data");
  assert_int_equal (symlinkat ("usr/lib", place->fd, "2/lib"), 0);
  assert_int_equal (symlinkat ("installed", place->fd, "2/usr/lib/link"), 0);
  assert_file (place, "lib/installed", NULL);
  assert_file (place, "usr/lib/link", NULL);
  assert_file (place, "usr/lib/installed", "data");
}

static void strange_things_are_refused (void **state)
{
  struct place *place = *state;
  autofree char *large = xcalloc (1, 200), *text = NULL;
  autoerr struct err err = {0};

  make_dir (place, "2/lib/installed");
  assert_int_equal (read_file (place, "lib/installed", &text, &err), -EINVAL);
  err_release (&err);
  make_parents (place, "2/dev/x");
  assert_int_equal (mknodat (place->fd, "2/dev/fifo", S_IFIFO | 0644, 0), 0);
  assert_int_equal (read_file (place, "dev/fifo", &text, &err), -EINVAL);
  err_release (&err);
  memset (large, 'x', 199);
  write_file (place, "2/lib/large", large);
  assert_int_equal (read_file (place, "lib/large", &text, &err), -EFBIG);
  assert_non_null (strstr (err_text (&err), "lib/large"));
}

static void directories_are_merged (void **state)
{
  static const char *const all[] = {"a-1-1", "b-1-1", "c-1-1", NULL};
  static const char *const fewer[] = {"a-2-1", "c-1-1", NULL};
  static const char *const none[] = {NULL};
  static const char *const only[] = {"d-1-1", NULL};
  struct place *place = *state;

  make_dir (place, "2/local/a-1-1");
  make_dir (place, "2/local/b-1-1");
  make_dir (place, "1/local/a-1-1");
  make_dir (place, "1/local/c-1-1");
  write_file (place, "2/local/VERSION", "9");
  assert_dirs (place, "local", all);
  assert_dirs (place, "nothing/local", none);
  if (!may_make_layers ())
    return;
  make_whiteout (place, "0/local/a-1-1");
  make_whiteout (place, "0/local/b-1-1");
  make_dir (place, "0/local/a-2-1");
  assert_dirs (place, "local", fewer);
  make_dir (place, "0/local/d-1-1");
  assert_int_equal (unlinkat (place->fd, "0/local/a-2-1", AT_REMOVEDIR), 0);
  set_form (place, "0/local", "opaque", "y");
  assert_dirs (place, "local", only);
}

static void a_moved_directory_is_not_guessed_at (void **state)
{
  struct place *place = *state;
  autopkglookup struct pkg_lookup lookup = {0};
  autoerr struct err err = {0};

  if (!may_make_layers ())
    skip ();
  make_dir (place, "2/old/a-1-1");
  make_dir (place, "1/local");
  set_form (place, "1/local", "redirect", "old");
  assert_int_equal (pkg_lookup_dir (place->layers, LAYERS, "local", &lookup, &err), -EXDEV);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (the_topmost_file_is_read, setup, teardown),
      cmocka_unit_test_setup_teardown (what_was_removed_is_not_seen, setup, teardown),
      cmocka_unit_test_setup_teardown (a_copy_of_the_metadata_has_its_data_below, setup, teardown),
      cmocka_unit_test_setup_teardown (files_that_say_they_are_removed_are, setup, teardown),
      cmocka_unit_test_setup_teardown (symlinks_lead_nowhere, setup, teardown),
      cmocka_unit_test_setup_teardown (strange_things_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown (directories_are_merged, setup, teardown),
      cmocka_unit_test_setup_teardown (a_moved_directory_is_not_guessed_at, setup, teardown),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
