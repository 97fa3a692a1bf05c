/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "groups.h"
#include "util/dirread.h"
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

static int walk (int fd, int temp_fd, const struct u64table *groups, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (entry->type != DT_DIR) {
      if (u64table_has (groups, entry->ino) &&
          replace (temp_fd, entry->ino, fd, entry->name, err) < 0)
        return -err->code;
      continue;
    }
    autoclose int child = fd_open_dir (fd, entry->name);
    if (child < 0)
      return err_errno (err, "open the directory %s", entry->name);
    if (walk (child, temp_fd, groups, err) < 0)
      return err_wrap (err, "%s", entry->name);
  }
  return 0;
}

int groups_finish (int tree_fd, int temp_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};
  autou64table struct u64table groups = {0};

  if (dirread_all (temp_fd, &list, err) < 0)
    return err_wrap (err, "txn/temp");
  for (size_t i = 0; i < list.count; i++)
    if (strncmp (list.items[i].name, PREFIX, strlen (PREFIX)) == 0)
      u64table_put (&groups, strtoull (list.items[i].name + strlen (PREFIX), NULL, 10), NULL);
  if (!groups.count)
    return 0;
  if (walk (tree_fd, temp_fd, &groups, err) < 0)
    return err_wrap (err, "finish hard-link groups");
  for (size_t i = 0; i < list.count; i++)
    if (strncmp (list.items[i].name, PREFIX, strlen (PREFIX)) == 0 &&
        unlinkat (temp_fd, list.items[i].name, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove txn/temp/%s", list.items[i].name);
  return 0;
}
