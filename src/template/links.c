/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hard links in a tree that is being written. */
#include "writer_internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <inttypes.h>

/* Names of links in the writer's temporary directory: "source" for those a source's inode number
 * names, "hold" to keep an inode number from being used again, "group" for what a group moved to.
 */
#define LINK_NAME_SIZE 40

static void link_name (char *name, const char *kind, uint64_t number)
{
  snprintf (name, LINK_NAME_SIZE, "%s-%" PRIu64, kind, number);
}

static int keep_link (struct writer *writer, int dir_fd, const char *name, const char *kind,
                      uint64_t number, struct err *err)
{
  char temp[LINK_NAME_SIZE];

  link_name (temp, kind, number);
  if (linkat (dir_fd, name, writer->temp_fd, temp, 0) < 0 && errno != EEXIST)
    return err_errno (err, "make a link to it in staging");
  return 0;
}

/* Where the earlier entry @text is. Its directory is reached by a stack of its own. */
static int find_target (struct writer *writer, const char *text, int *ret_dir_fd,
                        const char **ret_name, struct stat *ret_st, struct err *err)
{
  struct path *target = &writer->target;

  if (path_split (target, text, err) < 0)
    return -err->code;
  if (!target->count)
    return err_code (err, EINVAL, "refused: a hard link to the top directory");
  *ret_name = target->parts[target->count - 1];
  if (dirstack_enter (&writer->targets, target->parts, target->count - 1, /* make= */ false,
                      ret_dir_fd, NULL) < 0 ||
      fstatat (*ret_dir_fd, *ret_name, ret_st, AT_SYMLINK_NOFOLLOW) < 0) {
    autofree char *quoted = path_quote (text);
    int code = errno;

    if (code == ENOENT)
      return err_code (err, EINVAL, "it is a hard link to %s, which is not there", quoted);
    if (code == ENOTDIR || code == ELOOP)
      return err_code (err, EINVAL,
                       "refused: it is a hard link to %s, above which is something else than a "
                       "directory, such as a symlink",
                       quoted);
    errno = code;
    return err_errno (err, "open the directory of %s", quoted);
  }
  if (S_ISDIR (ret_st->st_mode))
    return err_code (err, EINVAL, "refused: a hard link to a directory");
  return 0;
}

/* Makes room for a hard link to the inode @ino: 1; 0 when @name is one already. */
static int make_room (struct writer *writer, int dir_fd, const char *name, uint64_t ino,
                      struct err *err)
{
  struct stat st;

  if (errno != EEXIST || fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "make the hard link");
  if (st.st_ino == ino)
    return 0;
  return writer_remove_old (writer, dir_fd, name, err) < 0 ? -err->code : 1;
}

int writer_link (struct writer *writer, const char *text, const char *target, struct err *err)
{
  const char *name = "";
  int dir_fd = -1, ret;

  if (writer_enter (writer, text, &dir_fd, &name, err) < 0)
    return -err->code;
  do {
    const char *from = "";
    int from_dir = -1;
    struct stat st;

    /* Each time: removing a directory closes those of the target. */
    if (find_target (writer, target, &from_dir, &from, &st, err) < 0)
      return writer_wrap (text, err);
    if (linkat (from_dir, from, dir_fd, name, 0) == 0) {
      writer->report.files++;
      return 0;
    }
    ret = make_room (writer, dir_fd, name, st.st_ino, err);
  } while (ret > 0);
  return ret < 0 ? writer_wrap (text, err) : 0;
}

int writer_remember (struct writer *writer, uint64_t key, struct err *err)
{
  const char *name = writer->path.parts[writer->path.count - 1];
  int dir_fd = -1;

  if (dirstack_enter (&writer->stack, writer->path.parts, writer->path.count - 1, false, &dir_fd,
                      NULL) < 0)
    return err_errno (err, "open its directory");
  return keep_link (writer, dir_fd, name, "source", key, err);
}

int writer_link_known (struct writer *writer, const char *text, uint64_t key, struct err *err)
{
  char temp[LINK_NAME_SIZE];
  const char *name = "";
  int dir_fd = -1;
  struct stat st;

  if (writer_enter (writer, text, &dir_fd, &name, err) < 0)
    return -err->code;
  link_name (temp, "source", key);
  if (fstatat (writer->temp_fd, temp, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT)
      return 0;
    err_errno (err, "stat a link in staging");
    return writer_wrap (text, err);
  }
  while (linkat (writer->temp_fd, temp, dir_fd, name, 0) < 0) {
    int ret = make_room (writer, dir_fd, name, st.st_ino, err);

    if (ret <= 0)
      return ret < 0 ? writer_wrap (text, err) : 1;
  }
  writer->report.files++;
  return 1;
}

int writer_regroup (struct writer *writer, const char *text, struct err *err)
{
  int dir_fd = writer->file.dir_fd, old_dir = -1;
  const char *name = writer->file.name, *old = "";
  struct stat old_st, st;

  if (find_target (writer, text, &old_dir, &old, &old_st, err) < 0)
    return writer_wrap (name, err);
  if (path_equal (&writer->path, &writer->target))
    return 0;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    err_errno (err, "stat it");
    return writer_wrap (name, err);
  }
  if (!S_ISREG (old_st.st_mode))
    return err_code (err, EINVAL, "refused: a hard link with contents to something that has none");
  /* The old inode's number must not come back as another file's before the group has moved. */
  if (keep_link (writer, old_dir, old, "hold", old_st.st_ino, err) < 0 ||
      keep_link (writer, dir_fd, name, "group", st.st_ino, err) < 0 ||
      store_join (&writer->share, dir_fd, name, old_dir, old, err) < 0)
    return writer_wrap (name, err);
  *u64table_put (&writer->moved, old_st.st_ino, NULL) = st.st_ino;
  writer->replaced = true;
  return 0;
}

/* Calls @visit for each entry of the tree, parents before children. */
static int each_entry (struct writer *writer, int dir_fd,
                       int (*visit) (struct writer *writer, int dir_fd,
                                     const struct dirread_entry *entry, struct err *err),
                       struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (visit (writer, dir_fd, entry, err) < 0)
      return writer_wrap (entry->name, err);
    if (entry->type != DT_DIR)
      continue;
    autoclose int fd = fd_open_dir (dir_fd, entry->name);
    if (fd < 0) {
      err_errno (err, "open the directory");
      return writer_wrap (entry->name, err);
    }
    if (each_entry (writer, fd, visit, err) < 0)
      return -err->code;
  }
  return 0;
}

static int move_to_group (struct writer *writer, int dir_fd, const struct dirread_entry *entry,
                          struct err *err)
{
  char temp[LINK_NAME_SIZE];
  const uint64_t *to = entry->type == DT_DIR ? NULL : u64table_get (&writer->moved, entry->ino);

  if (!to)
    return 0;
  for (const uint64_t *next = to; next; next = u64table_get (&writer->moved, *to))
    to = next;
  link_name (temp, "group", *to);
  return store_join (&writer->share, writer->temp_fd, temp, dir_fd, entry->name, err);
}

int writer_finish_groups (struct writer *writer, struct err *err)
{
  if (!writer->moved.count)
    return 0;
  return each_entry (writer, writer->tree_fd, move_to_group, err);
}

static int count_entry (struct writer *writer, int dir_fd, const struct dirread_entry *entry,
                        struct err *err)
{
  struct stat st;
  bool is_new = false;

  if (entry->type == DT_DIR) {
    writer->report.directories++;
    return 0;
  }
  writer->report.files++;
  if (entry->type != DT_REG)
    return 0;
  /* The table has done its work, and serves to see each inode once. */
  *u64table_put (&writer->moved, entry->ino, &is_new) = 0;
  if (!is_new)
    return 0;
  if (fstatat (dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat it");
  writer->report.bytes += (uint64_t) st.st_size;
  return 0;
}

int writer_recount (struct writer *writer, struct err *err)
{
  u64table_release (&writer->moved);
  writer->report.files = 0;
  writer->report.directories = 0;
  writer->report.bytes = 0;
  int ret = each_entry (writer, writer->tree_fd, count_entry, err);
  /* More may come, and be finished again. */
  u64table_release (&writer->moved);
  return ret;
}
