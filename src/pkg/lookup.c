/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lookup.h"
#include "tree/layer.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <stdbool.h>

void pkg_lookup_release (struct pkg_lookup *lookup)
{
  int saved = errno;

  for (size_t i = 0; i < lookup->count; i++)
    close (lookup->fds[i]);
  free (lookup->fds);
  *lookup = (struct pkg_lookup){0};
  errno = saved;
}

/* What @name is in one layer: 1, 0 when it is not there at all, or negative. */
static int read_entry (int dir_fd, const char *name, struct layer_entry *ret_entry, struct err *err)
{
  autolayerentry struct layer_entry directory = {0};
  struct err why = {0};

  if (layer_read (dir_fd, ".", /* x_whiteouts= */ false, &directory, err) < 0)
    return -err->code;
  if (layer_read (dir_fd, name, directory.x_whiteouts, ret_entry, &why) == 0)
    return 1;
  if (why.code == ENOENT) {
    err_release (&why);
    return 0;
  }
  err_release (err);
  *err = why;
  return -err->code;
}

/* A layer's part of the directory @name, which is added. 1: layers below may have more of it, 0:
 * they are hidden, or negative. */
static int add_layer (int dir_fd, const char *name, struct pkg_lookup *child, struct err *err)
{
  autolayerentry struct layer_entry entry = {0};
  int there = read_entry (dir_fd, name, &entry, err);

  if (there <= 0)
    return there < 0 ? there : 1;
  if (entry.whiteout || !S_ISDIR (entry.st.st_mode))
    return 0;
  if (entry.redirect)
    return err_code (err, EXDEV, "the directory %s was moved, which shows in a running guest only",
                     name);
  int fd = fd_open_dir (dir_fd, name);
  if (fd < 0)
    return err_errno (err, "open the directory %s", name);
  child->fds[child->count++] = fd;
  return !entry.opaque;
}

static int descend (const struct pkg_lookup *at, const char *name, struct pkg_lookup *ret_child,
                    struct err *err)
{
  autopkglookup struct pkg_lookup child = {.fds = xcalloc (at->count + 1, sizeof *child.fds)};
  int more = 1;

  for (size_t i = 0; more > 0 && i < at->count; i++)
    more = add_layer (at->fds[i], name, &child, err);
  if (more < 0)
    return more;
  *ret_child = child;
  child = (struct pkg_lookup){0};
  return 0;
}

int pkg_lookup_dir (const int *layers, size_t count, const char *path,
                    struct pkg_lookup *ret_lookup, struct err *err)
{
  autopkglookup struct pkg_lookup at = {.fds = xcalloc (count + 1, sizeof *at.fds)};

  for (; at.count < count; at.count++)
    if ((at.fds[at.count] = fcntl (layers[at.count], F_DUPFD_CLOEXEC, 3)) < 0)
      return err_errno (err, "duplicate a descriptor");
  for (const char *p = path; *p;) {
    size_t len = strcspn (p, "/");
    autofree char *name = xstrndup (p, len);
    struct pkg_lookup child = {0};

    if (len && descend (&at, name, &child, err) < 0)
      return err_wrap (err, "%s", path);
    if (len) {
      pkg_lookup_release (&at);
      at = child;
    }
    p += len + (p[len] == '/');
  }
  *ret_lookup = at;
  at = (struct pkg_lookup){0};
  return 0;
}

static int read_file (int dir_fd, const char *name, size_t maximum, char **ret_text,
                      size_t *ret_len, struct err *err)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);

  if (fd < 0)
    return err_errno (err, "open %s", name);
  autofree char *path = fd_proc_path (fd, NULL);
  if (fd_read_file (AT_FDCWD, path, maximum, ret_text, ret_len, err) < 0)
    return err_wrap (err, "%s", name);
  return 1;
}

/* The file @name in the first layer that has it, or has its data. */
static int find_file (const struct pkg_lookup *directory, const char *name, size_t maximum,
                      char **ret_text, size_t *ret_len, struct err *err)
{
  for (size_t i = 0; i < directory->count; i++) {
    autolayerentry struct layer_entry entry = {0};
    int there = read_entry (directory->fds[i], name, &entry, err);

    if (there < 0)
      return there;
    if (!there)
      continue;
    if (entry.whiteout || S_ISLNK (entry.st.st_mode))
      return 0;
    if (!S_ISREG (entry.st.st_mode))
      return err_code (err, EINVAL, "%s is not a file", name);
    if (entry.redirect)
      return err_code (err, EXDEV, "%s was moved, which shows in a running guest only", name);
    if (!entry.metacopy)
      return read_file (directory->fds[i], name, maximum, ret_text, ret_len, err);
  }
  return 0;
}

int pkg_lookup_file (const int *layers, size_t count, const char *path, size_t maximum,
                     char **ret_text, size_t *ret_len, struct err *err)
{
  const char *slash = strrchr (path, '/');
  autofree char *parent = xstrndup (path, slash ? (size_t) (slash - path) : 0);
  autopkglookup struct pkg_lookup directory = {0};

  if (pkg_lookup_dir (layers, count, parent, &directory, err) < 0)
    return -err->code;
  int found = find_file (&directory, slash ? slash + 1 : path, maximum, ret_text, ret_len, err);
  return found < 0 ? err_wrap (err, "%s", path) : found;
}

/* Has a layer above the one of @list, which is the last of @count, an entry of this name? Whatever
 * it is there, it has been told, or hides this one. */
static bool is_above (const struct dirlist *lists, size_t count, const char *name)
{
  for (size_t i = 0; i < count; i++)
    if (dirlist_find (&lists[i], name))
      return true;
  return false;
}

int pkg_lookup_each_dir (const struct pkg_lookup *lookup,
                         int (*visit) (void *data, const char *name, struct err *err), void *data,
                         struct err *err)
{
  struct dirlist *lists = xcalloc (lookup->count + 1, sizeof *lists);
  int ret = 0;

  for (size_t i = 0; ret >= 0 && i < lookup->count; i++) {
    ret = dirread_all (lookup->fds[i], &lists[i], err);
    for (size_t j = 0; ret >= 0 && j < lists[i].count; j++)
      if (lists[i].items[j].type == DT_DIR && !is_above (lists, i, lists[i].items[j].name))
        ret = visit (data, lists[i].items[j].name, err);
  }
  for (size_t i = 0; i < lookup->count; i++)
    dirlist_release (&lists[i]);
  free (lists);
  return ret < 0 ? ret : 0;
}
