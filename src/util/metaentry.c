/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metaentry.h"
#include "fd.h"
#include "strbuf.h"
#include <stdatomic.h>
#include <sys/xattr.h>

#define METACOPY XATTR_OVERLAY "metacopy"
#define REDIRECT XATTR_OVERLAY "redirect"

enum { PLACE_LENGTH = METAENTRY_PLACE_SIZE - 1 };

static const char mark[4] = {0, 4, 0, 0};

static atomic_int store_at = -1;

/* Is there a store/data? */
enum { UNKNOWN, MISSING, THERE };
static atomic_int data_is = UNKNOWN;

void metaentry_use_store (int store_fd)
{
  atomic_store (&data_is, UNKNOWN);
  atomic_store (&store_at, store_fd);
}

void metaentry_forget_store (int store_fd)
{
  atomic_compare_exchange_strong (&store_at, &store_fd, -1);
}

/* When that cannot be told, it is. */
static int look_for_data (void)
{
  int saved = errno;
  int store_fd = atomic_load (&store_at);

  if (store_fd < 0)
    return MISSING;
  int found = faccessat (store_fd, METAENTRY_DATA, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT
                  ? MISSING
                  : THERE;

  atomic_store (&data_is, found);
  errno = saved;
  return found;
}

bool metaentry_may_be (const struct stat *st)
{
  int known = atomic_load (&data_is);

  if (!S_ISREG (st->st_mode) || st->st_size <= 0)
    return false;
  if (known == UNKNOWN)
    known = look_for_data ();
  return known == THERE || st->st_blocks * 512 < st->st_size;
}

static bool is_place (const char *text, size_t len)
{
  return len == PLACE_LENGTH && text[0] == '/' && hex_digit (text[1]) >= 0 &&
         hex_digit (text[2]) >= 0 && text[3] == '/' &&
         strspn (text + 4, "0123456789") == PLACE_LENGTH - 4;
}

bool metaentry_has_attribute (const char *name)
{
  return strcmp (name, METACOPY) == 0 || strcmp (name, REDIRECT) == 0;
}

bool metaentry_is_marked (const struct xattrs *xattrs)
{
  const struct xattr *metacopy = xattrs_find (xattrs, METACOPY);
  const struct xattr *redirect = xattrs_find (xattrs, REDIRECT);
  char place[METAENTRY_PLACE_SIZE] = "";

  if (!metacopy || !redirect || metacopy->len != sizeof mark || redirect->len != PLACE_LENGTH ||
      memcmp (metacopy->value, mark, sizeof mark) != 0)
    return false;
  memcpy (place, redirect->value, PLACE_LENGTH);
  return is_place (place, PLACE_LENGTH);
}

static ssize_t get (int fd, const char *path, const char *attribute, char *value, size_t size)
{
  return path ? lgetxattr (path, attribute, value, size) : fgetxattr (fd, attribute, value, size);
}

int metaentry_read (int fd, int dir_fd, const char *name, const struct stat *st, char *ret_place)
{
  if (!metaentry_may_be (st))
    return 0;
  autofree char *path = fd < 0 ? fd_proc_path (dir_fd, name) : NULL;
  char value[8], place[METAENTRY_PLACE_SIZE + 1] = "";
  ssize_t len = get (fd, path, METACOPY, value, sizeof value);

  if (len < 0 && errno != ENODATA && errno != EOPNOTSUPP && errno != ERANGE)
    return -1;
  if (len != sizeof mark || memcmp (value, mark, sizeof mark) != 0)
    return 0;
  len = get (fd, path, REDIRECT, place, sizeof place - 1);
  if (len < 0 && errno != ENODATA && errno != ERANGE)
    return -1;
  if (len < 0 || !is_place (place, (size_t) len)) {
    errno = EUCLEAN;
    return -1;
  }
  if (ret_place)
    memcpy (ret_place, place, METAENTRY_PLACE_SIZE);
  return 1;
}

int metaentry_contents (int fd, const struct stat *st, int *ret_fd)
{
  char place[METAENTRY_PLACE_SIZE];
  struct stat data_st = {0};
  int is_entry = metaentry_read (fd, -1, NULL, st, place);

  *ret_fd = -1;
  if (is_entry <= 0)
    return is_entry;
  autofree char *path = xasprintf (METAENTRY_DATA "%s", place);
  autoclose int data = fd_open_beneath (atomic_load (&store_at), path, O_RDONLY | O_NONBLOCK);
  if (data < 0 && errno != ENOENT && errno != EBADF && errno != ENOTDIR)
    return -1;
  if (data >= 0 && fstat (data, &data_st) < 0)
    return -1;
  if (data < 0 || !S_ISREG (data_st.st_mode) || data_st.st_size != st->st_size) {
    errno = EUCLEAN;
    return -1;
  }
  *ret_fd = steal_fd (&data);
  return 1;
}

int metaentry_follow (int *fd, const struct stat *st)
{
  int data = -1;
  int is_entry = metaentry_contents (*fd, st, &data);

  if (is_entry <= 0)
    return is_entry;
  cleanup_close (fd);
  *fd = data;
  return 0;
}

int metaentry_mark (int fd, const char *place)
{
  if (fsetxattr (fd, REDIRECT, place, strlen (place), 0) < 0 ||
      fsetxattr (fd, METACOPY, mark, sizeof mark, 0) < 0)
    return -1;
  return 0;
}
