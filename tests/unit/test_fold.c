/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fold, with upper layers made by hand: each form as the kernel writes it (overlayfs.rst and
 * fs/overlayfs/), and some that only an attacker would. The model tests do the rest. */
#include "place.h"
#include "util/fd.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static void whiteout_removes_below (void **state)
{
  struct place *place = *state;

  write_file (place, "tree/file", "t");
  make_dir (place, "tree/dir");
  write_file (place, "tree/dir/x", "t");
  write_file (place, "tree/stays", "t");
  if (place->commit) {
    write_file (place, "private/mine", "p");
    write_file (place, "private/stays-too", "p");
    make_whiteout (place, "upper/mine");
  }
  make_whiteout (place, "upper/file");
  make_whiteout (place, "upper/dir");
  fold (place);
  assert_gone (place, "tree/file");
  assert_gone (place, "tree/dir");
  assert_gone (place, "private/file");
  assert_gone (place, "private/dir");
  assert_gone (place, "private/mine");
  assert_file (place, "tree/stays", "t");
  if (place->commit)
    assert_file (place, "private/stays-too", "p");
}

static void whiteout_attribute_counts_in_marked_directories (void **state)
{
  struct place *place = *state;

  make_dir (place, "tree/d");
  write_file (place, "tree/d/gone", "t");
  write_file (place, "tree/d/stays", "t");
  make_dir (place, "upper/d");
  set_form (place, "upper/d", "opaque", "x");
  write_file (place, "upper/d/gone", "");
  set_form (place, "upper/d/gone", "whiteout", "y");
  /* No mark: this is a file. */
  make_dir (place, "upper/e");
  write_file (place, "upper/e/file", "");
  set_form (place, "upper/e/file", "whiteout", "y");
  fold (place);
  assert_gone (place, "tree/d/gone");
  assert_gone (place, "private/d/gone");
  assert_file (place, "tree/d/stays", "t");
  assert_file (place, "private/e/file", "");
}

static void opaque_hides_below (void **state)
{
  struct place *place = *state;

  rule (place, "/d", FOLD_EAGER);
  make_dir (place, "tree/d");
  write_file (place, "tree/d/old", "t");
  write_file (place, "tree/d/both", "t");
  make_dir (place, "tree/d/sub");
  write_file (place, "tree/d/sub/deep", "t");
  if (place->commit) {
    make_dir (place, "private/d");
    write_file (place, "private/d/mine", "p");
  }
  make_dir (place, "upper/d");
  set_form (place, "upper/d", "opaque", "y");
  write_file (place, "upper/d/both", "u");
  make_dir (place, "upper/d/sub");
  fold (place);
  assert_file (place, "tree/d/both", "u");
  assert_gone (place, "tree/d/old");
  assert_gone (place, "tree/d/sub/deep");
  assert_gone (place, "private/d/mine");
  assert_gone (place, "private/d/both");
}

static void redirect_moves_whole (struct place *place, const char *redirect)
{
  uint64_t ino;

  make_dir (place, "tree/d");
  make_dir (place, "tree/d/old");
  write_file (place, "tree/d/old/kept", "t");
  write_file (place, "tree/d/old/gone", "t");
  write_file (place, "tree/d/old/changed", "t");
  make_dir (place, "tree/d/old/sub");
  write_file (place, "tree/d/old/sub/deep", "t");
  ino = inode_of (place, "tree/d/old/kept");
  if (place->commit) {
    make_dir (place, "private/d");
    make_dir (place, "private/d/old");
    write_file (place, "private/d/old/mine", "p");
  }
  make_dir (place, "upper/d");
  make_whiteout (place, "upper/d/old");
  make_dir (place, "upper/d/new");
  set_form (place, "upper/d/new", "redirect", redirect);
  make_whiteout (place, "upper/d/new/gone");
  write_file (place, "upper/d/new/changed", "u");
  fold (place);
  assert_gone (place, "tree/d/old");
  assert_gone (place, "private/d/old");
  assert_file (place, "tree/d/new/kept", "t");
  assert_int_equal (inode_of (place, "tree/d/new/kept"), ino);
  assert_gone (place, "tree/d/new/gone");
  assert_file (place, "tree/d/new/sub/deep", "t");
  assert_file (place, "private/d/new/changed", "u");
  assert_gone (place, "tree/d/new/changed");
  if (place->commit)
    assert_file (place, "private/d/new/mine", "p");
}

static void redirect_by_path (void **state)
{
  redirect_moves_whole (*state, "/d/old");
}

static void redirect_by_name (void **state)
{
  redirect_moves_whole (*state, "old");
}

static void redirects_swap (void **state)
{
  struct place *place = *state;

  make_dir (place, "tree/a");
  make_dir (place, "tree/b");
  write_file (place, "tree/a/was-a", "a");
  write_file (place, "tree/b/was-b", "b");
  make_dir (place, "upper/a");
  make_dir (place, "upper/b");
  set_form (place, "upper/a", "redirect", "b");
  set_form (place, "upper/b", "redirect", "/a");
  fold (place);
  assert_file (place, "tree/a/was-b", "b");
  assert_file (place, "tree/b/was-a", "a");
  assert_gone (place, "tree/a/was-a");
  assert_gone (place, "tree/b/was-b");
}

static void metacopy_gets_its_data (struct place *place, const char *path, const char *redirect)
{
  autofree char *in_upper = xasprintf ("upper/%s", path);
  autofree char *in_tree = xasprintf ("tree/%s", path);
  uint64_t ino;
  struct stat st;

  rule (place, "/usr", FOLD_EAGER);
  make_dir (place, "tree/usr");
  make_dir (place, "tree/old");
  write_file (place, "tree/usr/f", "the data");
  write_file (place, "tree/old/g", "the data");
  ino = inode_of (place, "tree/usr/f");
  make_dir (place, "upper/usr");
  make_metacopy (place, in_upper, 8, 0600);
  if (redirect)
    set_form (place, in_upper, "redirect", redirect);
  fold (place);
  assert_file (place, in_tree, "the data");
  assert_true (get_stat (place, in_tree, &st));
  assert_int_equal (st.st_mode & 07777, 0600);
  assert_int_not_equal (st.st_ino, ino);
  assert_int_equal (st.st_nlink, 1);
}

static void metacopy_of_the_same_name (void **state)
{
  metacopy_gets_its_data (*state, "usr/f", NULL);
}

static void metacopy_by_path (void **state)
{
  metacopy_gets_its_data (*state, "usr/new", "/old/g");
}

static void metacopy_by_name (void **state)
{
  metacopy_gets_its_data (*state, "usr/new", "f");
}

static void metacopy_stays_private_whole (void **state)
{
  struct place *place = *state;

  rule (place, "/home", FOLD_PRIVATE);
  make_dir (place, "tree/home");
  write_file (place, "tree/home/f", "the data");
  make_dir (place, "upper/home");
  make_metacopy (place, "upper/home/f", 8, 0600);
  make_link (place, "upper/home/f", "upper/home/g");
  set_form (place, "upper/home/g", "redirect", "f");
  fold (place);
  assert_file (place, "private/home/f", "the data");
  assert_file (place, "private/home/g", "the data");
  assert_int_equal (inode_of (place, "private/home/f"), inode_of (place, "private/home/g"));
}

static void plain_attributes_of_the_overlay_go (void **state)
{
  static const char *const names[] = {"origin", "impure", "nlink", "uuid", NULL};
  struct place *place = *state;

  rule (place, "/usr", FOLD_EAGER);
  make_dir (place, "upper/usr");
  write_file (place, "upper/usr/f", "u");
  for (const char *const *name = names; *name; name++) {
    set_form (place, "upper/usr", *name, "y");
    set_form (place, "upper/usr/f", *name, "y");
  }
  set_raw (place, "upper/usr/f", "trusted.overlay.overlay.opaque", "y", 1);
  set_raw (place, "upper/usr/f", "user.own", "1", 1);
  fold (place);
  assert_file (place, "tree/usr/f", "u");
  autofree char *proc = fd_proc_path (place->fd, "tree/usr/f");
  assert_int_equal (lgetxattr (proc, "trusted.overlay.overlay.opaque", NULL, 0), 1);
  assert_int_equal (lgetxattr (proc, "user.own", NULL, 0), 1);
  autofree char *dir = fd_proc_path (place->fd, "tree/usr");
  for (const char *const *name = names; *name; name++) {
    autofree char *full = xasprintf ("trusted.overlay.%s", *name);
    assert_int_equal (lgetxattr (dir, full, NULL, 0), -1);
  }
}

static void protected_files_stay_private (void **state)
{
  struct place *place = *state;

  rule (place, "/usr", FOLD_EAGER);
  make_dir (place, "upper/usr");
  write_file (place, "upper/usr/f", "u");
  set_form (place, "upper/usr/f", "protattr", "i");
  write_file (place, "upper/usr/g", "u");
  fold (place);
  assert_gone (place, "tree/usr/f");
  assert_file (place, "tree/usr/g", "u");
  autofree char *proc = fd_proc_path (place->fd, "private/usr/f");
  assert_int_equal (lgetxattr (proc, "trusted.overlay.protattr", NULL, 0), 1);
}

static void types_change (void **state)
{
  struct place *place = *state;

  rule (place, "/eager", FOLD_EAGER);
  for (int i = 0; i < 2; i++) {
    const char *top = i ? "eager" : "home";
    autofree char *in_tree = xasprintf ("tree/%s", top), *in_upper = xasprintf ("upper/%s", top);
    autofree char *dir = xasprintf ("tree/%s/dir", top), *inner = xasprintf ("%s/x", dir);
    autofree char *file = xasprintf ("tree/%s/file", top);
    autofree char *now_file = xasprintf ("upper/%s/dir", top);
    autofree char *now_dir = xasprintf ("upper/%s/file", top);
    autofree char *now_inner = xasprintf ("%s/y", now_dir);

    make_dir (place, in_tree);
    make_dir (place, in_upper);
    make_dir (place, dir);
    write_file (place, inner, "t");
    write_file (place, file, "t");
    write_file (place, now_file, "u");
    make_dir (place, now_dir);
    set_form (place, now_dir, "opaque", "y");
    write_file (place, now_inner, "u");
  }
  fold (place);
  assert_file (place, "tree/eager/dir", "u");
  assert_file (place, "tree/eager/file/y", "u");
  assert_file (place, "private/home/dir", "u");
  assert_file (place, "private/home/file/y", "u");
  assert_gone (place, "tree/home/dir/x");
}

static void policy_decides (void **state)
{
  struct place *place = *state;
  static const char *const dirs[] = {"usr", "home", "etc", NULL};

  rule (place, "/usr", FOLD_EAGER);
  rule (place, "/home", FOLD_PRIVATE);
  for (const char *const *dir = dirs; *dir; dir++) {
    autofree char *path = xasprintf ("upper/%s", *dir), *file = xasprintf ("%s/f", path);

    make_dir (place, path);
    write_file (place, file, "u");
  }
  write_file (place, "upper/usr/link", "group");
  make_link (place, "upper/usr/link", "upper/etc/link");
  write_file (place, "upper/usr/one", "group");
  make_link (place, "upper/usr/one", "upper/usr/two");
  fold (place);
  assert_file (place, "tree/usr/f", "u");
  assert_gone (place, "private/usr/f");
  assert_file (place, "private/home/f", "u");
  assert_gone (place, "tree/home/f");
  assert_file (place, "private/etc/f", "u");
  assert_gone (place, "tree/etc/f");
  /* A group with a name outside the packages' paths stays whole in private. */
  assert_int_equal (inode_of (place, "private/usr/link"), inode_of (place, "private/etc/link"));
  assert_int_equal (inode_of (place, "tree/usr/one"), inode_of (place, "tree/usr/two"));
}

static void twins_move (void **state)
{
  struct place *place = *state;

  place->twins = true;
  rule (place, "/home", FOLD_PRIVATE);
  make_dir (place, "upper/etc");
  make_dir (place, "upper/home");
  write_file (place, "upper/etc/f", "u");
  write_file (place, "upper/etc/empty", "");
  write_file (place, "upper/home/f", "u");
  fold (place);
  assert_file (place, "tree/etc/f", "u");
  assert_gone (place, "private/etc/f");
  assert_file (place, "private/etc/empty", "");
  assert_file (place, "private/home/f", "u");
}

static void drops (void **state)
{
  struct place *place = *state;

  rule (place, "/cache", FOLD_DROP);
  make_dir (place, "tree/cache");
  write_file (place, "tree/cache/old", "t");
  write_file (place, "tree/cache/untouched", "t");
  if (place->commit) {
    make_dir (place, "private/cache");
    write_file (place, "private/cache/old", "p");
  }
  make_dir (place, "upper/cache");
  write_file (place, "upper/cache/old", "u");
  write_file (place, "upper/cache/new", "u");
  fold (place);
  assert_dir (place, "tree/cache");
  assert_gone (place, "tree/cache/old");
  assert_gone (place, "private/cache/old");
  assert_gone (place, "tree/cache/new");
  assert_gone (place, "private/cache/new");
  assert_file (place, "tree/cache/untouched", "t");
}

/* What no kernel writes is refused before anything is changed. */
static void assert_refused (struct place *place)
{
  autoerr struct err err = {0};
  struct fold_counts counts;

  assert_int_equal (plan (place, &counts, &err), -EUCLEAN);
  assert_int_equal (fold_pending (place->fd, &err), 0);
  assert_file (place, "tree/old/kept", "t");
  assert_gone (place, "txn/fold");
}

static void bad_redirects_are_refused (void **state)
{
  static const char *const bad[] = {"..", "../old", "/old/../../etc", "a/b", "", "/..", NULL};
  struct place *place = *state;

  make_dir (place, "tree/old");
  write_file (place, "tree/old/kept", "t");
  make_whiteout (place, "upper/old");
  make_dir (place, "upper/new");
  for (const char *const *redirect = bad; *redirect; redirect++) {
    set_form (place, "upper/new", "redirect", *redirect);
    assert_refused (place);
  }
  set_raw (place, "upper/new", "trusted.overlay.redirect", "old\0x", 5);
  assert_refused (place);
}

static void metacopy_without_data_is_refused (void **state)
{
  struct place *place = *state;

  make_dir (place, "tree/old");
  write_file (place, "tree/old/kept", "t");
  make_metacopy (place, "upper/f", 8, 0600);
  assert_refused (place);
  /* Another size is another file. */
  set_form (place, "upper/f", "redirect", "/old/kept");
  assert_refused (place);
  set_form (place, "upper/f", "redirect", "/old");
  assert_refused (place);
}

/* A symlink in a layer is never followed on the way to a redirect's target. */
static void symlinks_are_not_followed (void **state)
{
  struct place *place = *state;

  make_dir (place, "tree/old");
  write_file (place, "tree/old/kept", "t");
  assert_int_equal (symlinkat ("/etc", place->fd, "tree/way"), 0);
  make_metacopy (place, "upper/f", 1, 0600);
  set_form (place, "upper/f", "redirect", "/way/passwd");
  assert_refused (place);
}

static void cut_off_journal_is_not_carried_out (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct fold_counts counts;
  autofree char *text = NULL;
  size_t len = 0;

  write_file (place, "tree/file", "t");
  make_dir (place, "tree/dir");
  make_whiteout (place, "upper/file");
  make_whiteout (place, "upper/dir");
  assert_int_equal (plan (place, &counts, &err), 1);
  assert_int_equal (fd_read_file (place->fd, "txn/journal", 1 << 20, &text, &len, &err), 0);
  for (size_t cut = 0; cut + 1 < len; cut++) {
    autoclose int fd = fd_open (place->fd, "txn/journal", O_WRONLY | O_TRUNC, 0);

    assert_int_equal (fd_write_all (fd, text, cut), 0);
    assert_true (fold_apply (place->fd, &err) < 0);
    assert_file (place, "tree/file", "t");
    assert_dir (place, "tree/dir");
  }
  autoclose int fd = fd_open (place->fd, "txn/journal", O_WRONLY | O_TRUNC, 0);
  assert_int_equal (fd_write_all (fd, text, len), 0);
  assert_int_equal (fold_apply (place->fd, &err), 0);
  assert_int_equal (fold_finish (place->fd, &err), 0);
  assert_gone (place, "tree/file");
}

/* Deeper than PATH_MAX, with the longest names. */
static void paths_of_any_length (void **state)
{
  enum { DEPTH = 40 };
  struct place *place = *state;
  char name[256];
  int fds[3]; /* tree, private, upper */

  rule (place, "eager", FOLD_EAGER);
  memset (name, '%', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  for (int i = 0; i < 3; i++) {
    static const char *const roots[] = {"tree", "private", "upper"};
    autofree char *real = place_path (place, roots[i]);

    fds[i] = fd_open_dir (place->fd, real);
    for (int depth = 0; depth < DEPTH; depth++) {
      int next = fd_make_dir (fds[i], name, 0755);

      assert_true (next >= 0);
      close (fds[i]);
      fds[i] = next;
    }
  }
  static const char *const files[] = {"gone", "eager", "kept"};
  for (int i = 0; i < 3; i++) {
    autoclose int fd = fd_open (fds[i ? 2 : 0], files[i], O_WRONLY | O_CREAT, 0644);

    assert_true (fd >= 0);
  }
  assert_int_equal (mknodat (fds[2], "gone", S_IFCHR, 0), 0);
  fold (place);
  assert_int_equal (faccessat (fds[0], "gone", F_OK, 0), -1);
  assert_int_equal (faccessat (fds[0], "eager", F_OK, 0), 0);
  assert_int_equal (faccessat (fds[1], "kept", F_OK, 0), 0);
  assert_int_equal (faccessat (fds[1], "eager", F_OK, 0), -1);
  for (int i = 0; i < 3; i++)
    close (fds[i]);
}

static void journal_is_not_cleared_away (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct fold_counts counts;

  write_file (place, "tree/file", "t");
  make_whiteout (place, "upper/file");
  assert_int_equal (plan (place, &counts, &err), 1);
  assert_int_equal (fold_clear (place->fd, &err), -EBUSY);
  assert_int_equal (fold_apply (place->fd, &err), 0);
  assert_int_equal (fold_finish (place->fd, &err), 0);
  assert_gone (place, "tree/file");
}

static void nothing_to_do (void **state)
{
  struct place *place = *state;
  autoerr struct err err = {0};
  struct fold_counts counts;
  struct stat st;

  /* The upper's root is like the one below it, as when a transaction begins. */
  assert_true (get_stat (place, "tree", &st));
  for (int i = 0; i < 3; i++) {
    static const char *const roots[] = {"tree", "private", "upper"};
    autofree char *real = place_path (place, roots[i]);
    struct timespec times[2] = {st.st_mtim, st.st_mtim};

    assert_int_equal (utimensat (place->fd, real, times, 0), 0);
  }
  assert_int_equal (plan (place, &counts, &err), 0);
  assert_int_equal (fold_pending (place->fd, &err), 0);
  assert_gone (place, "txn/fold");
}

#define BOTH(test)                                                                                 \
  {"commit: " #test, test, setup_commit, teardown, NULL},                                          \
  {                                                                                                \
    "in place: " #test, test, setup_in_place, teardown, NULL                                       \
  }

int main (void)
{
  const struct CMUnitTest tests[] = {
      BOTH (whiteout_removes_below),
      BOTH (whiteout_attribute_counts_in_marked_directories),
      BOTH (opaque_hides_below),
      BOTH (redirect_by_path),
      BOTH (redirect_by_name),
      BOTH (redirects_swap),
      BOTH (metacopy_of_the_same_name),
      BOTH (metacopy_by_path),
      BOTH (metacopy_by_name),
      BOTH (metacopy_stays_private_whole),
      BOTH (plain_attributes_of_the_overlay_go),
      BOTH (protected_files_stay_private),
      BOTH (types_change),
      BOTH (policy_decides),
      BOTH (twins_move),
      BOTH (drops),
      BOTH (bad_redirects_are_refused),
      BOTH (metacopy_without_data_is_refused),
      BOTH (symlinks_are_not_followed),
      BOTH (cut_off_journal_is_not_carried_out),
      BOTH (paths_of_any_length),
      BOTH (journal_is_not_cleared_away),
      BOTH (nothing_to_do),
  };

  /* Whiteouts and trusted.* attributes are root's. */
  if (geteuid () != 0) {
    printf ("1..0 # SKIP only root can make upper layers\n");
    return 0;
  }
  return cmocka_run_group_tests_name ("fold", tests, NULL, NULL);
}
