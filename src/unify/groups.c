/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "groups.h"
#include "util/dirread.h"
#include "util/dirwalk.h"
#include "util/fd.h"
#include "util/u64table.h"
#include <inttypes.h>

#define PREFIX "group-"

static void format_name (uint64_t ino, uint64_t dir_ino, char *name)
{
  snprintf (name, GROUP_NAME_SIZE, PREFIX "%" PRIu64 "-%" PRIu64, ino, dir_ino);
}

static int inode_of (int fd, uint64_t *ret_ino, struct err *err)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat txn/temp");
  *ret_ino = st.st_ino;
  return 0;
}

int group_name (int temp_fd, uint64_t ino, char *name, struct err *err)
{
  uint64_t dir_ino = 0;

  if (inode_of (temp_fd, &dir_ino, err) < 0)
    return -err->code;
  format_name (ino, dir_ino, name);
  return 0;
}

struct groups {
  int temp_fd;            /* borrowed */
  uint64_t dir_ino;       /* of temp_fd */
  struct dirlist list;    /* owned: of temp_fd */
  struct u64table inodes; /* owned: that names are to be taken from */
};

static void groups_release (struct groups *groups)
{
  dirlist_release (&groups->list);
  u64table_release (&groups->inodes);
}
#define autogroups __attribute__ ((cleanup (groups_release)))

static bool is_group (const char *name)
{
  return strncmp (name, PREFIX, strlen (PREFIX)) == 0;
}

static int groups_read (int temp_fd, struct groups *groups, struct err *err)
{
  groups->temp_fd = temp_fd;
  if (inode_of (temp_fd, &groups->dir_ino, err) < 0 ||
      dirread_all (temp_fd, &groups->list, err) < 0)
    return err_wrap (err, "txn/temp");
  for (size_t i = 0; i < groups->list.count; i++) {
    const char *name = groups->list.items[i].name;
    char expected[GROUP_NAME_SIZE];

    if (!is_group (name))
      continue;
    uint64_t ino = strtoull (name + strlen (PREFIX), NULL, 10);
    format_name (ino, groups->dir_ino, expected);
    if (strcmp (name, expected) == 0)
      u64table_add (&groups->inodes, ino);
  }
  return 0;
}

static int replace (const struct groups *groups, uint64_t ino, int dir_fd, const char *name,
                    struct err *err)
{
  char link[GROUP_NAME_SIZE], temp[FD_TEMP_NAME_SIZE];
  int temp_fd = groups->temp_fd;

  format_name (ino, groups->dir_ino, link);
  fd_temp_name (temp);
  if (linkat (temp_fd, link, temp_fd, temp, 0) < 0 || renameat (temp_fd, temp, dir_fd, name) < 0) {
    err_errno (err, "link %s to its hard-link group", name);
    unlinkat (temp_fd, temp, 0);
    return -err->code;
  }
  return 0;
}

/* The names of one directory. With @turn those below come as well. */
static int replace_in (const struct groups *groups, int fd, const char *path,
                       struct dirwalk_turn *turn, struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct stat before = {0};
  bool changed = false;

  /* Names are replaced: all come first. */
  if (dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "/%s", path);
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (entry->type == DT_DIR && turn)
      dirwalk_enter (turn, entry->name, NULL);
    if (entry->type == DT_DIR || !u64table_has (&groups->inodes, entry->ino))
      continue;
    if (!changed && fstat (fd, &before) < 0)
      return err_errno (err, "stat the directory /%s", path);
    changed = true;
    if (replace (groups, entry->ino, fd, entry->name, err) < 0)
      return err_wrap (err, "/%s", path);
  }
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before.st_mtim};
  if (changed && futimens (fd, times) < 0)
    return err_errno (err, "set the times of the directory /%s", path);
  return 0;
}

static int walk_dir (void *data, struct dirwalk_turn *turn, struct err *err)
{
  return replace_in (data, turn->fd, turn->path, turn, err);
}

static int replace_in_all (const struct groups *groups, int tree_fd, const struct strbuf *dirs,
                           struct err *err)
{
  const char *end = strbuf_str (dirs) + dirs->len;

  for (const char *path = strbuf_str (dirs); path < end; path += strlen (path) + 1) {
    autoclose int fd = fd_open_dir_beneath (tree_fd, path);

    if (fd < 0)
      return err_errno (err, "open the directory /%s", path);
    if (replace_in (groups, fd, path, NULL, err) < 0)
      return -err->code;
  }
  return 0;
}

/* One thread is enough: groups are few. */
static int walk (struct groups *groups, int fd, struct err *err)
{
  const struct dirwalk all = {.top_fd = fd, .threads = 1, .visit = walk_dir, .data = groups};

  return dirwalk_run (&all, err);
}

int groups_apply (int dir_fd, int temp_fd, struct err *err)
{
  autogroups struct groups groups = {0};

  if (groups_read (temp_fd, &groups, err) < 0)
    return -err->code;
  if (groups.inodes.count && walk (&groups, dir_fd, err) < 0)
    return err_wrap (err, "finish hard-link groups");
  return 0;
}

/* All names of the tree, or with @dirs those that are in them. */
static int finish (int tree_fd, int temp_fd, const struct strbuf *dirs, struct err *err)
{
  autogroups struct groups groups = {0};

  if (groups_read (temp_fd, &groups, err) < 0)
    return -err->code;
  if (groups.inodes.count &&
      (dirs ? replace_in_all (&groups, tree_fd, dirs, err) : walk (&groups, tree_fd, err)) < 0)
    return err_wrap (err, "finish hard-link groups");
  for (size_t i = 0; i < groups.list.count; i++) {
    const char *name = groups.list.items[i].name;

    if (is_group (name) && unlinkat (temp_fd, name, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove txn/temp/%s", name);
  }
  return 0;
}

int groups_finish (int tree_fd, int temp_fd, struct err *err)
{
  return finish (tree_fd, temp_fd, NULL, err);
}

int groups_finish_in (int tree_fd, int temp_fd, const struct strbuf *dirs, struct err *err)
{
  return finish (tree_fd, temp_fd, dirs, err);
}
