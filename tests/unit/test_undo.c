/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undo layers, of upper layers made by hand: what is in them, and what they bring back. */
#include "place.h"
#include "tree/undo.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <sys/xattr.h>

/* The transaction in txn/upper is committed, and entry/ has its undo layer. */
static void commit (struct place *place)
{
  autoclose int entry_fd = fd_make_dir (place->fd, "entry", 0700);
  autoerr struct err err = {0};

  if (undo_build (place->fd, entry_fd, &err) < 0)
    fail_msg ("undo_build: %s", err_text (&err));
  fold (place);
}

/* And is undone; with the count of inodes that went back as they were. */
static size_t undo (struct place *place)
{
  autoclose int entry_fd = fd_open_dir (place->fd, "entry");
  autou64table struct u64table as_is = {0};
  autoerr struct err err = {0};
  struct fold_counts counts;

  assert_int_equal (mkdirat (place->fd, "txn/upper", 0755), 0);
  if (undo_stage (place->fd, entry_fd, &place->rules, &as_is, &err) < 0)
    fail_msg ("undo_stage: %s", err_text (&err));
  place->as_is = &as_is;
  assert_int_equal (plan (place, &counts, &err), 1);
  place->as_is = NULL;
  assert_int_equal (fd_remove_tree (place->fd, "entry", &err), 0);
  assert_int_equal (fold_apply (place->fd, &err), 0);
  assert_int_equal (fold_finish (place->fd, &err), 0);
  return as_is.count;
}

static nlink_t links_of (struct place *place, const char *path)
{
  struct stat st;

  assert_true (get_stat (place, path, &st));
  return st.st_nlink;
}

/* A file that is an object: it has another name, elsewhere. */
static void write_object (struct place *place, const char *path, const char *text)
{
  static unsigned number;
  autofree char *object = xasprintf ("object-%u", number++);

  write_file (place, path, text);
  make_link (place, path, object);
}

static void the_trees_files_come_back_as_links (void **state)
{
  struct place *place = *state;

  write_object (place, "tree/removed", "r");
  write_object (place, "tree/replaced", "old");
  write_object (place, "tree/other", "o");
  uint64_t removed = inode_of (place, "tree/removed"), replaced = inode_of (place, "tree/replaced");
  make_whiteout (place, "upper/removed");
  write_file (place, "upper/replaced", "new");
  write_file (place, "upper/added", "a");
  commit (place);
  assert_int_equal (inode_of (place, "entry/undo/layer/removed"), removed);
  assert_int_equal (inode_of (place, "entry/undo/layer/replaced"), replaced);
  assert_gone (place, "entry/undo/layer/other");
  assert_gone (place, "tree/removed");
  assert_file (place, "private/replaced", "new");
  assert_int_equal (undo (place), 2);
  assert_int_equal (inode_of (place, "tree/removed"), removed);
  assert_int_equal (inode_of (place, "tree/replaced"), replaced);
  assert_gone (place, "private/replaced");
  assert_gone (place, "private/added");
  assert_gone (place, "tree/added");
}

/* Such an inode is never in private, where a guest could write to it: whatever the policy says. */
static void what_has_other_names_goes_to_the_tree (void **state)
{
  struct place *place = *state;

  rule (place, "/", FOLD_PRIVATE);
  write_object (place, "tree/file", "t");
  uint64_t ino = inode_of (place, "tree/file");
  make_whiteout (place, "upper/file");
  commit (place);
  assert_int_equal (undo (place), 1);
  assert_int_equal (inode_of (place, "tree/file"), ino);
  assert_gone (place, "private/file");
}

static void private_files_are_taken_over_or_copied (void **state)
{
  struct place *place = *state;

  write_file (place, "private/alone", "1");
  write_file (place, "private/pair-a", "2");
  make_link (place, "private/pair-a", "private/pair-b");
  uint64_t alone = inode_of (place, "private/alone"), pair = inode_of (place, "private/pair-b");
  make_whiteout (place, "upper/alone");
  write_file (place, "upper/pair-a", "new");
  commit (place);
  assert_int_equal (inode_of (place, "entry/undo/layer/alone"), alone);
  assert_int_equal (links_of (place, "entry/undo/layer/alone"), 1);
  /* The guest goes on writing to the other name. */
  assert_int_not_equal (inode_of (place, "entry/undo/layer/pair-a"), pair);
  assert_int_equal (inode_of (place, "entry/undo/partners/pair-b"),
                    inode_of (place, "entry/undo/layer/pair-a"));
  assert_int_equal (undo (place), 0);
  assert_file (place, "private/alone", "1");
  assert_file (place, "private/pair-a", "2");
  assert_int_equal (inode_of (place, "private/pair-a"), inode_of (place, "private/pair-b"));
  assert_int_equal (links_of (place, "private/pair-a"), 2);
}

static void a_partner_that_changed_since_stays_apart (void **state)
{
  struct place *place = *state;

  write_file (place, "private/a", "old");
  make_link (place, "private/a", "private/b");
  make_whiteout (place, "upper/a");
  commit (place);
  autoclose int fd = fd_open (place->fd, "private/b", O_WRONLY | O_TRUNC, 0);
  assert_int_equal (fd_write_all (fd, "since", 5), 0);
  undo (place);
  assert_file (place, "private/a", "old");
  assert_file (place, "private/b", "since");
}

static void partners_in_the_tree_are_partners_again (void **state)
{
  struct place *place = *state;

  make_dir (place, "tree/d");
  write_object (place, "tree/d/a", "t");
  make_link (place, "tree/d/a", "tree/b");
  uint64_t ino = inode_of (place, "tree/b");
  make_dir (place, "upper/d");
  make_whiteout (place, "upper/d/a");
  commit (place);
  assert_int_equal (inode_of (place, "entry/undo/partners/b"), ino);
  assert_int_equal (undo (place), 1);
  assert_int_equal (inode_of (place, "tree/d/a"), ino);
  assert_int_equal (inode_of (place, "tree/b"), ino);
}

/* The same object, as equal files of a guest get it one after the other. */
static void an_inode_that_another_file_has_is_not_used_again (void **state)
{
  struct place *place = *state;

  write_object (place, "tree/a", "t");
  uint64_t ino = inode_of (place, "tree/a");
  make_whiteout (place, "upper/a");
  commit (place);
  make_link (place, "entry/undo/layer/a", "tree/c");
  assert_int_equal (undo (place), 0);
  assert_int_equal (inode_of (place, "tree/c"), ino);
  assert_file (place, "private/a", "t");
  assert_int_not_equal (inode_of (place, "private/a"), ino);
}

static void directories_come_back_whole (void **state)
{
  struct place *place = *state;

  make_dir (place, "tree/d");
  make_dir (place, "tree/d/sub");
  write_object (place, "tree/d/sub/deep", "t");
  make_dir (place, "private/d");
  write_file (place, "private/d/mine", "p");
  write_file (place, "upper/d", "a file now");
  make_dir (place, "upper/new");
  write_file (place, "upper/new/x", "x");
  commit (place);
  assert_file (place, "private/d", "a file now");
  undo (place);
  assert_file (place, "tree/d/sub/deep", "t");
  assert_file (place, "private/d/mine", "p");
  assert_gone (place, "private/new");
  assert_gone (place, "tree/new");
}

/* A file of private below a renamed directory stays in private: a link would be written to. */
static void what_a_renamed_directory_carries_is_copied (void **state)
{
  struct place *place = *state;

  make_dir (place, "private/old");
  write_file (place, "private/old/file", "p");
  make_whiteout (place, "upper/old");
  make_dir (place, "upper/new");
  set_form (place, "upper/new", "redirect", "/old");
  commit (place);
  assert_int_not_equal (inode_of (place, "entry/undo/layer/old/file"),
                        inode_of (place, "private/new/file"));
  undo (place);
  assert_file (place, "private/old/file", "p");
  assert_gone (place, "private/new");
}

static mode_t mode_of (struct place *place, const char *path)
{
  struct stat st;

  assert_true (get_stat (place, path, &st));
  return st.st_mode & 07777;
}

static void only_metadata_that_was_changed_comes_back (void **state)
{
  struct place *place = *state;

  make_dir (place, "tree/left");
  make_dir (place, "tree/changed");
  make_dir (place, "upper/left");
  write_file (place, "upper/left/file", "f");
  make_dir (place, "upper/changed");
  assert_int_equal (fchmodat (place->fd, "txn/upper/changed", 0711, 0), 0);
  commit (place);
  assert_int_equal (mode_of (place, "tree/changed"), 0711);
  /* Somebody closes both since. */
  assert_int_equal (fchmodat (place->fd, "tree/left", 0700, 0), 0);
  assert_int_equal (fchmodat (place->fd, "private/left", 0700, 0), 0);
  assert_int_equal (fchmodat (place->fd, "tree/changed", 0700, 0), 0);
  undo (place);
  assert_int_equal (mode_of (place, "tree/left"), 0700);
  assert_int_equal (mode_of (place, "tree/changed"), 0755);
  assert_int_equal (fgetxattr (place->fd, "trusted.overlay.vguest.same", NULL, 0), -1);
  assert_gone (place, "private/left/file");
}

static void protection_and_attributes_come_back (void **state)
{
  struct place *place = *state;
  char value[8] = "";

  write_file (place, "private/file", "p");
  set_form (place, "private/file", "protattr", "i");
  set_raw (place, "private/file", "user.note", "n", 1);
  make_link (place, "private/file", "private/partner");
  make_whiteout (place, "upper/file");
  commit (place);
  undo (place);
  autofree char *path = fd_proc_path (place->fd, "private/file");
  assert_int_equal (lgetxattr (path, "trusted.overlay.protattr", value, sizeof value), 1);
  assert_int_equal (value[0], 'i');
  assert_int_equal (lgetxattr (path, "user.note", value, sizeof value), 1);
}

struct changes {
  struct strbuf text;
};

static int note_change (void *data, enum undo_change change, const char *path, bool directory,
                        struct err *err)
{
  struct changes *changes = data;

  (void) err;
  strbuf_addf (&changes->text, "%c%s%s ", "+*-"[change], path, directory ? "/" : "");
  return 0;
}

static void changes_are_listed (void **state)
{
  struct place *place = *state;
  struct changes changes = {.text = STRBUF_INIT (4096)};
  autoerr struct err err = {0};

  make_dir (place, "tree/d");
  write_object (place, "tree/d/gone", "t");
  write_object (place, "tree/d/new", "t");
  write_object (place, "tree/d/same", "t");
  make_dir (place, "tree/whole");
  make_dir (place, "upper/d");
  make_whiteout (place, "upper/d/gone");
  write_file (place, "upper/d/new", "u");
  write_file (place, "upper/d/same", "u");
  write_file (place, "upper/d/added", "u");
  make_whiteout (place, "upper/whole");
  commit (place);
  /* Somebody put it back already. */
  assert_int_equal (unlinkat (place->fd, "private/d/same", 0), 0);
  make_link (place, "entry/undo/layer/d/same", "tree/d/same");
  autoclose int entry_fd = fd_open_dir (place->fd, "entry");
  assert_int_equal (undo_each_change (place->fd, entry_fd, note_change, &changes, &err), 0);
  assert_string_equal (strbuf_str (&changes.text), "-d/added +d/gone *d/new +whole/ ");
  strbuf_release (&changes.text);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup_commit, teardown)
  const struct CMUnitTest tests[] = {
      TEST (the_trees_files_come_back_as_links),
      TEST (what_has_other_names_goes_to_the_tree),
      TEST (private_files_are_taken_over_or_copied),
      TEST (a_partner_that_changed_since_stays_apart),
      TEST (partners_in_the_tree_are_partners_again),
      TEST (an_inode_that_another_file_has_is_not_used_again),
      TEST (directories_come_back_whole),
      TEST (what_a_renamed_directory_carries_is_copied),
      TEST (only_metadata_that_was_changed_comes_back),
      TEST (protection_and_attributes_come_back),
      TEST (changes_are_listed),
  };
#undef TEST

  if (geteuid () != 0) {
    printf ("1..0 # SKIP only root can make layers\n");
    return 0;
  }
  umask (022);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
