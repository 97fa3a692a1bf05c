/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dirread.h"
#include "fd.h"
#include <sys/syscall.h>

enum { BUFFER_SIZE = 64 << 10 };

/* struct linux_dirent64 of getdents64(2). */
struct kernel_entry {
  uint64_t ino;
  int64_t off;
  unsigned short reclen;
  unsigned char type;
  char name[];
};

void dirread_start (int fd, struct dirread *ret_dirread)
{
  lseek (fd, 0, SEEK_SET);
  *ret_dirread = (struct dirread){.fd = fd};
}

static unsigned char ask_type (int fd, const char *name)
{
  struct stat st;

  if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return DT_UNKNOWN;
  return IFTODT (st.st_mode);
}

static const struct kernel_entry *entry_at (const struct dirread *dirread)
{
  return (const void *) (dirread->buffer + dirread->at);
}

bool dirread_buffered (struct dirread *dirread)
{
  while (dirread->at < dirread->used) {
    const char *name = entry_at (dirread)->name;

    if (name[0] != '.' || (name[1] && (name[1] != '.' || name[2])))
      return true;
    dirread->at += entry_at (dirread)->reclen;
  }
  return false;
}

int dirread_next (struct dirread *dirread, struct dirread_entry *ret_entry, struct err *err)
{
  while (!dirread_buffered (dirread)) {
    if (!dirread->buffer)
      dirread->buffer = xmalloc (BUFFER_SIZE);
    long n = syscall (SYS_getdents64, dirread->fd, dirread->buffer, BUFFER_SIZE);
    if (n < 0)
      return err_errno (err, "read a directory");
    if (n == 0)
      return 0;
    dirread->used = (size_t) n;
    dirread->at = 0;
  }
  const struct kernel_entry *entry = entry_at (dirread);
  dirread->at += entry->reclen;
  ret_entry->ino = entry->ino;
  ret_entry->name = entry->name;
  ret_entry->type = entry->type == DT_UNKNOWN ? ask_type (dirread->fd, entry->name) : entry->type;
  return 1;
}

void dirread_release (struct dirread *dirread)
{
  int saved = errno;

  free (dirread->buffer);
  dirread->buffer = NULL;
  errno = saved;
}

static int compare_entries (const void *a, const void *b)
{
  return strcmp (((const struct dirread_entry *) a)->name,
                 ((const struct dirread_entry *) b)->name);
}

int dirread_all (int fd, struct dirlist *ret_list, struct err *err)
{
  autodirlist struct dirlist list = {0};
  autodirread struct dirread dirread;
  struct dirread_entry entry = {0};
  size_t items_size = 0, names_size = 0, names_len = 0;
  int ret;

  dirread_start (fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    size_t len = strlen (entry.name) + 1;

    if (list.count == items_size) {
      items_size = items_size ? items_size * 2 : 16;
      list.items = xreallocarray (list.items, items_size, sizeof *list.items);
    }
    if (names_len + len > names_size) {
      names_size = names_size ? names_size * 2 : 256;
      if (names_size < names_len + len)
        names_size = names_len + len;
      list.names = xreallocarray (list.names, names_size, 1);
    }
    memcpy (list.names + names_len, entry.name, len);
    list.items[list.count] = entry;
    list.items[list.count++].name = NULL;
    names_len += len;
  }
  if (ret < 0)
    return ret;
  size_t at = 0;
  for (size_t i = 0; i < list.count; i++) {
    list.items[i].name = list.names + at;
    at += strlen (list.names + at) + 1;
  }
  if (list.count > 1)
    qsort (list.items, list.count, sizeof *list.items, compare_entries);
  *ret_list = list;
  list = (struct dirlist){0};
  return 0;
}

void dirlist_release (struct dirlist *list)
{
  int saved = errno;

  free (list->items);
  free (list->names);
  *list = (struct dirlist){0};
  errno = saved;
}

const struct dirread_entry *dirlist_find (const struct dirlist *list, const char *name)
{
  size_t low = 0, high = list->count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp (list->items[middle].name, name);

    if (order == 0)
      return &list->items[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}
