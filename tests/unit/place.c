/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "place.h"
#include "lib/scratch.h"
#include "util/fd.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

char *place_path (const struct place *place, const char *path)
{
  if (strncmp (path, "upper", 5) == 0 && (path[5] == '/' || !path[5]))
    return xasprintf ("%s%s", place->commit ? "txn/upper" : "private", path + 5);
  return xstrdup (path);
}

static int setup_mode (void **state, bool commit)
{
  static const char *const dirs[] = {"tree", "private", "txn", "txn/upper", NULL};
  struct place *place = xcalloc (1, sizeof *place);

  *state = place;
  place->commit = commit;
  place->path = scratch_make (NULL);
  if (!place->path)
    return -1;
  place->fd = open (place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (const char *const *dir = dirs; *dir; dir++)
    if ((commit || strcmp (*dir, "txn/upper") != 0) && mkdirat (place->fd, *dir, 0755) < 0)
      return -1;
  return 0;
}

int setup_commit (void **state)
{
  return setup_mode (state, true);
}

int setup_in_place (void **state)
{
  return setup_mode (state, false);
}

int teardown (void **state)
{
  struct place *place = *state;

  close (place->fd);
  int ret = scratch_remove (place->path);
  rules_release (&place->rules);
  free (place->path);
  free (place);
  return ret;
}

void make_dir (struct place *place, const char *path)
{
  autofree char *real = place_path (place, path);

  assert_int_equal (mkdirat (place->fd, real, 0755), 0);
}

void write_file (struct place *place, const char *path, const char *text)
{
  autofree char *real = place_path (place, path);
  autoclose int fd = fd_open (place->fd, real, O_WRONLY | O_CREAT | O_EXCL, 0644);

  assert_true (fd >= 0);
  assert_int_equal (fd_write_all (fd, text, strlen (text)), 0);
}

void make_link (struct place *place, const char *from, const char *to)
{
  autofree char *real_from = place_path (place, from), *real_to = place_path (place, to);

  assert_int_equal (linkat (place->fd, real_from, place->fd, real_to, 0), 0);
}

void make_whiteout (struct place *place, const char *path)
{
  autofree char *real = place_path (place, path);

  assert_int_equal (mknodat (place->fd, real, S_IFCHR, makedev (0, 0)), 0);
}

void set_raw (struct place *place, const char *path, const char *name, const void *value,
              size_t len)
{
  autofree char *real = place_path (place, path);
  autofree char *proc = fd_proc_path (place->fd, real);

  assert_int_equal (lsetxattr (proc, name, value, len, 0), 0);
}

void set_form (struct place *place, const char *path, const char *name, const char *value)
{
  autofree char *full = xasprintf ("trusted.overlay.%s", name);

  set_raw (place, path, full, value, strlen (value));
}

void make_metacopy (struct place *place, const char *path, off_t size, mode_t mode)
{
  autofree char *real = place_path (place, path);
  autoclose int fd = fd_open (place->fd, real, O_WRONLY | O_CREAT | O_EXCL, 0600);

  assert_true (fd >= 0);
  assert_int_equal (ftruncate (fd, size), 0);
  assert_int_equal (fchmod (fd, mode), 0);
  set_form (place, path, "metacopy", "");
}

void rule (struct place *place, const char *pattern, unsigned class)
{
  autoerr struct err err = {0};

  assert_int_equal (rules_add (&place->rules, pattern, FOLD_CLASS_MASK, class, &err), 0);
}

static int all_twins (void *data, int dir_fd, const char *name, const struct stat *st,
                      unsigned verdict, struct err *err)
{
  (void) data;
  (void) dir_fd;
  (void) name;
  (void) st;
  (void) verdict;
  (void) err;
  return 1;
}

int plan (struct place *place, struct fold_counts *counts, struct err *err)
{
  struct fold_options options = {
      .guest_fd = place->fd,
      .commit = place->commit,
      .rules = &place->rules,
      .twin = place->twins ? all_twins : NULL,
      .as_is = place->as_is,
  };

  return fold_plan (&options, counts, err);
}

void fold (struct place *place)
{
  autoerr struct err err = {0};
  struct fold_counts counts;

  assert_int_equal (plan (place, &counts, &err), 1);
  assert_int_equal (fold_pending (place->fd, &err), 1);
  assert_int_equal (fold_apply (place->fd, &err), 0);
  assert_int_equal (fold_finish (place->fd, &err), 0);
  assert_int_equal (fold_pending (place->fd, &err), 0);
}

bool get_stat (struct place *place, const char *path, struct stat *st)
{
  autofree char *real = place_path (place, path);

  return fstatat (place->fd, real, st, AT_SYMLINK_NOFOLLOW) == 0;
}

void assert_gone (struct place *place, const char *path)
{
  struct stat st;

  if (get_stat (place, path, &st))
    fail_msg ("%s is there", path);
}

void assert_file (struct place *place, const char *path, const char *text)
{
  autofree char *real = place_path (place, path), *data = NULL;
  autofree char *proc = fd_proc_path (place->fd, real);
  autoerr struct err err = {0};
  char list[4096];

  if (fd_read_file (place->fd, real, 1 << 20, &data, NULL, &err) < 0)
    fail_msg ("%s: %s", path, err_text (&err));
  assert_string_equal (data, text);
  ssize_t len = llistxattr (proc, list, sizeof list);
  assert_true (len >= 0);
  for (const char *name = list; name < list + len; name += strlen (name) + 1)
    if (strncmp (name, "trusted.overlay.", 16) == 0 && strncmp (name + 16, "overlay.", 8) != 0)
      fail_msg ("%s has %s", path, name);
}

void assert_dir (struct place *place, const char *path)
{
  struct stat st;

  if (!get_stat (place, path, &st) || !S_ISDIR (st.st_mode))
    fail_msg ("%s is no directory", path);
}

uint64_t inode_of (struct place *place, const char *path)
{
  struct stat st;

  if (!get_stat (place, path, &st))
    fail_msg ("%s is missing", path);
  return st.st_ino;
}
