/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xattr.h"
#include "fd.h"
#include <sys/xattr.h>

void xattrs_release (struct xattrs *xattrs)
{
  int saved = errno;

  for (size_t i = 0; i < xattrs->count; i++) {
    free (xattrs->items[i].name);
    free (xattrs->items[i].value);
  }
  free (xattrs->items);
  *xattrs = (struct xattrs){0};
  errno = saved;
}

bool xattr_is_overlay (const char *name)
{
  return strncmp (name, XATTR_OVERLAY, strlen (XATTR_OVERLAY)) == 0 &&
         strncmp (name, XATTR_OVERLAY_NESTED, strlen (XATTR_OVERLAY_NESTED)) != 0;
}

/* One file, reached by descriptor, or by name without following it. */
struct target {
  int fd;
  const char *path; /* NULL when fd is used */
};

static ssize_t target_list (const struct target *t, char *list, size_t size)
{
  return t->path ? llistxattr (t->path, list, size) : flistxattr (t->fd, list, size);
}

static ssize_t target_get (const struct target *t, const char *name, void *value, size_t size)
{
  return t->path ? lgetxattr (t->path, name, value, size) : fgetxattr (t->fd, name, value, size);
}

static int compare_names (const void *a, const void *b)
{
  return strcmp (((const struct xattr *) a)->name, ((const struct xattr *) b)->name);
}

/* Attributes can change between asking for the size and reading: ask again on ERANGE. */
static ssize_t read_list (const struct target *t, char **ret_list)
{
  char small[256];
  ssize_t len = target_list (t, small, sizeof small);

  if (len >= 0) {
    *ret_list = xmalloc ((size_t) len);
    memcpy (*ret_list, small, (size_t) len);
    return len;
  }
  while (errno == ERANGE) {
    len = target_list (t, NULL, 0);
    if (len < 0)
      return -1;
    char *list = xmalloc ((size_t) len);
    len = target_list (t, list, (size_t) len);
    if (len >= 0) {
      *ret_list = list;
      return len;
    }
    free (list);
  }
  return -1;
}

static ssize_t read_value (const struct target *t, const char *name, void **ret_value)
{
  for (;;) {
    ssize_t len = target_get (t, name, NULL, 0);

    if (len < 0)
      return -1;
    void *value = xmalloc ((size_t) len);
    len = target_get (t, name, value, (size_t) len);
    if (len >= 0) {
      *ret_value = value;
      return len;
    }
    free (value);
    if (errno != ERANGE)
      return -1;
  }
}

static int read_target (const struct target *t, bool with_overlay, struct xattrs *ret_xattrs,
                        const char *what, struct err *err)
{
  autoxattrs struct xattrs all = {0};
  autofree char *list = NULL;
  ssize_t len = read_list (t, &list);

  if (len < 0) {
    if (errno == EOPNOTSUPP) {
      *ret_xattrs = (struct xattrs){0};
      return 0;
    }
    return err_errno (err, "list the extended attributes of %s", what);
  }
  for (const char *name = list; name < list + len; name += strlen (name) + 1) {
    void *value;

    if (!with_overlay && xattr_is_overlay (name))
      continue;
    ssize_t size = read_value (t, name, &value);
    if (size < 0) {
      if (errno == ENODATA)
        continue; /* removed in between */
      return err_errno (err, "read the extended attribute %s of %s", name, what);
    }
    all.items = xreallocarray (all.items, all.count + 1, sizeof *all.items);
    all.items[all.count++] = (struct xattr){xstrdup (name), value, (size_t) size};
  }
  if (all.count > 1)
    qsort (all.items, all.count, sizeof *all.items, compare_names);
  *ret_xattrs = all;
  all = (struct xattrs){0};
  return 0;
}

int xattrs_read (int fd, int dir_fd, const char *name, bool with_overlay, struct xattrs *ret_xattrs,
                 struct err *err)
{
  autofree char *path = fd >= 0 ? NULL : fd_proc_path (dir_fd, name);
  struct target t = {.fd = fd, .path = path};

  return read_target (&t, with_overlay, ret_xattrs, name ? name : "an open file", err);
}

const struct xattr *xattrs_find (const struct xattrs *xattrs, const char *name)
{
  for (size_t i = 0; i < xattrs->count; i++)
    if (strcmp (xattrs->items[i].name, name) == 0)
      return &xattrs->items[i];
  return NULL;
}

static bool xattr_same (const struct xattr *a, const struct xattr *b)
{
  return a->len == b->len && strcmp (a->name, b->name) == 0 &&
         (!a->len || memcmp (a->value, b->value, a->len) == 0);
}

int xattrs_apply (int fd, int dir_fd, const char *name, const struct xattrs *xattrs,
                  struct err *err)
{
  autofree char *path = fd >= 0 ? NULL : fd_proc_path (dir_fd, name);
  struct target t = {.fd = fd, .path = path};
  const char *what = name ? name : "an open file";
  autoxattrs struct xattrs old = {0};

  if (read_target (&t, /* with_overlay= */ false, &old, what, err) < 0)
    return -err->code;
  for (size_t i = 0; i < old.count; i++) {
    if (xattrs_find (xattrs, old.items[i].name))
      continue;
    int ret = path ? lremovexattr (path, old.items[i].name) : fremovexattr (fd, old.items[i].name);
    if (ret < 0 && errno != ENODATA)
      return err_errno (err, "remove the extended attribute %s of %s", old.items[i].name, what);
  }
  for (size_t i = 0; i < xattrs->count; i++) {
    const struct xattr *x = &xattrs->items[i];
    const struct xattr *has = xattrs_find (&old, x->name);

    if (has && xattr_same (has, x))
      continue;
    int ret = path ? lsetxattr (path, x->name, x->value, x->len, 0)
                   : fsetxattr (fd, x->name, x->value, x->len, 0);
    if (ret < 0)
      return err_errno (err, "set the extended attribute %s of %s", x->name, what);
  }
  return 0;
}

bool xattrs_equal (const struct xattrs *a, const struct xattrs *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (!xattr_same (&a->items[i], &b->items[i]))
      return false;
  return true;
}
