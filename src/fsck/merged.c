/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of one guest that are one inode, and perhaps should not be.
 *
 * Two names on one inode are hard links of one another, and nothing says whether they were made to
 * be. But where a guest's template has two equal files, each an inode of its own, and in the guest
 * both names are on one of these, somebody has put them together: a command in the guest, which may
 * do so, or a fault that took two uses of an object for one. */
#include "internal.h"
#include "template/template.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"

struct suspect {
  char *path; /* owned */
  uint64_t ino;
};

struct compare {
  struct u64table template; /* owned: the template's inodes */
  struct u64table names;    /* owned: the guest's inodes -> how many names */
  struct suspect *suspects; /* owned */
  size_t count;
  struct strbuf path; /* owned */
};

static void compare_release (struct compare *compare)
{
  for (size_t i = 0; i < compare->count; i++)
    free (compare->suspects[i].path);
  free (compare->suspects);
  u64table_release (&compare->template);
  u64table_release (&compare->names);
  strbuf_release (&compare->path);
}
#define autocompare __attribute__ ((cleanup (compare_release)))

static int note_inodes (struct compare *compare, int fd, struct err *err)
{
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  if (interrupt_check (err) < 0)
    return -err->code;
  dirread_start (fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type != DT_DIR) {
      u64table_put (&compare->template, entry.ino, NULL);
      continue;
    }
    autoclose int child = fd_open_dir (fd, entry.name);
    if (child >= 0 && note_inodes (compare, child, err) < 0)
      return -err->code;
  }
  return ret;
}

static bool is_equal (int a_dir, int b_dir, const char *name)
{
  struct stat a, b;

  return fstatat (a_dir, name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstatat (b_dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_mode == b.st_mode &&
         a.st_size == b.st_size && a.st_uid == b.st_uid && a.st_gid == b.st_gid &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

static void visit_file (struct compare *compare, int fd, int template_fd,
                        const struct dirread_entry *entry, const struct dirread_entry *there)
{
  ++*u64table_put (&compare->names, entry->ino, NULL);
  if (!there || there->type == DT_DIR || there->ino == entry->ino ||
      !u64table_has (&compare->template, entry->ino) || !is_equal (fd, template_fd, entry->name))
    return;
  compare->suspects =
      xreallocarray (compare->suspects, compare->count + 1, sizeof *compare->suspects);
  compare->suspects[compare->count++] = (struct suspect){
      .path = compare->path.len ? xasprintf ("%s/%s", strbuf_str (&compare->path), entry->name)
                                : xstrdup (entry->name),
      .ino = entry->ino,
  };
}

/* The same directory of both; @template_fd may be -1. */
static int visit_dir (struct compare *compare, int fd, int template_fd, struct err *err)
{
  autodirlist struct dirlist list = {0}, there = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0 ||
      (template_fd >= 0 && dirread_all (template_fd, &there, err) < 0))
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];
    const struct dirread_entry *other = dirlist_find (&there, entry->name);

    if (entry->type != DT_DIR) {
      visit_file (compare, fd, template_fd, entry, other);
      continue;
    }
    autoclose int child = fd_open_dir (fd, entry->name);
    autoclose int template_child =
        other && other->type == DT_DIR ? fd_open_dir (template_fd, entry->name) : -1;
    if (child < 0)
      continue;
    size_t before = strbuf_push_name (&compare->path, entry->name);
    int ret = visit_dir (compare, child, template_child, err);
    strbuf_truncate (&compare->path, before);
    if (ret < 0)
      return ret;
  }
  return 0;
}

/* The tree of the template's generation that the guest was made from; -1 when there is none. */
static int open_template (struct fsck *fsck, int fd)
{
  autojson json_object *state = NULL;
  autoerr struct err ignored = {0};
  const char *name = NULL;
  int64_t generation = 0;

  if (json_read_file (fd, "state.json", "state.json", &state, &ignored) < 0 ||
      json_get_string (state, "template", NULL, &name, &ignored) < 0 ||
      json_get_int (state, "generation", 0, &generation, &ignored) < 0 || !name ||
      name_check (name, "template", &ignored) < 0)
    return -1;
  autofree char *path = xasprintf ("%s/%jd/tree", name, (intmax_t) generation);
  return fd_open_dir_beneath (fsck->root->templates_fd, path);
}

int fsck_check_merged (struct fsck *fsck, const struct fsck_place *place, int fd, struct err *err)
{
  autoclose int template_fd = open_template (fsck, fd);
  autoclose int tree_fd = fd_open_dir (fd, "tree");
  autocompare struct compare compare = {.path = STRBUF_INIT (FSCK_PATH_MAX)};

  if (template_fd < 0 || tree_fd < 0)
    return 0;
  if (note_inodes (&compare, template_fd, err) < 0 ||
      visit_dir (&compare, tree_fd, template_fd, err) < 0)
    return err_wrap (err, "compare it with its template");
  for (size_t i = 0; i < compare.count; i++) {
    const uint64_t *names = u64table_get (&compare.names, compare.suspects[i].ino);

    if (names && *names > 1)
      fsck_add (
          fsck, FSCK_MERGED, false, place->path,
          "/%s is a hard link to an equal file, and was a file of its own in the template: was "
          "it linked in the guest?",
          compare.suspects[i].path);
  }
  return 0;
}
