/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "groups.h"
#include "util/dirread.h"
#include "util/dirwalk.h"
#include "util/fd.h"
#include "util/u64table.h"
#include <inttypes.h>

#define PREFIX "group-"

void group_name (uint64_t ino, char *name, size_t size)
{
  snprintf (name, size, PREFIX "%" PRIu64, ino);
}

static int replace (int temp_fd, uint64_t ino, int dir_fd, const char *name, struct err *err)
{
  char link[GROUP_NAME_SIZE], temp[FD_TEMP_NAME_SIZE];

  group_name (ino, link, sizeof link);
  fd_temp_name (temp);
  if (linkat (temp_fd, link, temp_fd, temp, 0) < 0 || renameat (temp_fd, temp, dir_fd, name) < 0) {
    err_errno (err, "link %s to its hard-link group", name);
    unlinkat (temp_fd, temp, 0);
    return -err->code;
  }
  return 0;
}

struct walk {
  int temp_fd;
  struct u64table groups; /* owned: the inodes that have a link there */
};

static int walk_dir (void *data, struct dirwalk_turn *turn, struct err *err)
{
  const struct walk *walk = data;
  autodirlist struct dirlist list = {0};

  /* Names are replaced: all come first. */
  if (dirread_all (turn->fd, &list, err) < 0)
    return err_wrap (err, "/%s", turn->path);
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (entry->type == DT_DIR)
      dirwalk_enter (turn, entry->name, NULL);
    else if (u64table_has (&walk->groups, entry->ino) &&
             replace (walk->temp_fd, entry->ino, turn->fd, entry->name, err) < 0)
      return err_wrap (err, "/%s", turn->path);
  }
  return 0;
}

/* One thread is enough: groups are few. */
static int finish_all (int tree_fd, struct walk *walk, struct err *err)
{
  struct dirwalk all = {.top_fd = tree_fd, .threads = 1, .visit = walk_dir, .data = walk};

  if (dirwalk_run (&all, err) < 0)
    return err_wrap (err, "finish hard-link groups");
  return 0;
}

int groups_finish (int tree_fd, int temp_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct walk walk = {.temp_fd = temp_fd};
  int ret = 0;

  if (dirread_all (temp_fd, &list, err) < 0)
    return err_wrap (err, "txn/temp");
  for (size_t i = 0; i < list.count; i++)
    if (strncmp (list.items[i].name, PREFIX, strlen (PREFIX)) == 0)
      u64table_add (&walk.groups, strtoull (list.items[i].name + strlen (PREFIX), NULL, 10));
  if (walk.groups.count)
    ret = finish_all (tree_fd, &walk, err);
  u64table_release (&walk.groups);
  if (ret < 0)
    return ret;
  for (size_t i = 0; i < list.count; i++)
    if (strncmp (list.items[i].name, PREFIX, strlen (PREFIX)) == 0 &&
        unlinkat (temp_fd, list.items[i].name, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove txn/temp/%s", list.items[i].name);
  return 0;
}
