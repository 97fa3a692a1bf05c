/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_resolve.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <limits.h>

enum { LINKS_MAX = 40, TEXT_MAX = 1 << 20 };

struct walk {
  int tree_fd;
  struct strbuf done; /* what is resolved: "a/b" */
  char *rest;         /* owned; what is to come */
  unsigned links;
};

static void release_walk (struct walk *walk)
{
  strbuf_release (&walk->done);
  free (walk->rest);
}
#define autowalk __attribute__ ((cleanup (release_walk)))

static void go_up (struct walk *walk)
{
  const char *slash = walk->done.len ? strrchr (walk->done.data, '/') : NULL;

  strbuf_truncate (&walk->done, slash ? (size_t) (slash - walk->done.data) : 0);
}

/* Puts the symlink's target before the rest. 1 when @name is one, 0 when it is not. */
static int follow (struct walk *walk, const char *name, const char *rest, struct err *err)
{
  autoclose int fd = fd_open_dir_beneath (walk->tree_fd, strbuf_str (&walk->done));
  char target[PATH_MAX];
  ssize_t len = fd < 0 ? -1 : readlinkat (fd, name, target, sizeof target - 1);

  if (len < 0) /* it is none, or not there: who uses the name will see */
    return 0;
  target[len] = '\0';
  if (++walk->links > LINKS_MAX)
    return err_code (err, ELOOP, "there are too many symlinks above it");
  if (target[0] == '/')
    strbuf_truncate (&walk->done, 0);
  char *next = xasprintf ("%s/%s", target, rest);
  free (walk->rest);
  walk->rest = next;
  if (strlen (next) > TEXT_MAX)
    return err_code (err, ENAMETOOLONG, "the symlinks above it are too long");
  return 1;
}

static int resolve (struct walk *walk, struct err *err)
{
  while (*walk->rest) {
    size_t len = strcspn (walk->rest, "/");
    autofree char *name = xstrndup (walk->rest, len);
    autofree char *rest = xstrdup (walk->rest + len + (walk->rest[len] == '/'));

    if (strcmp (name, "..") == 0)
      go_up (walk);
    if (*name && strcmp (name, "..") != 0 && strcmp (name, ".") != 0) {
      int ret = follow (walk, name, rest, err);

      if (ret < 0)
        return ret;
      if (ret)
        continue;
      strbuf_push_name (&walk->done, name);
    }
    free (walk->rest);
    walk->rest = steal_ptr (&rest);
  }
  return walk->done.failed ? err_code (err, ENAMETOOLONG, "its name is too long") : 0;
}

/* The parents of @path, resolved, with its last component: the caller's. NULL with @err. */
static char *resolve_path (int tree_fd, const struct path *path, struct err *err)
{
  autowalk struct walk walk = {.tree_fd = tree_fd, .done = STRBUF_INIT (TEXT_MAX)};
  autostrbuf struct strbuf parents = STRBUF_INIT (TEXT_MAX);

  for (size_t i = 0; i + 1 < path->count; i++)
    strbuf_push_name (&parents, path->parts[i]);
  if (parents.failed) {
    err_code (err, ENAMETOOLONG, "its name is too long");
    return NULL;
  }
  walk.rest = xstrdup (strbuf_str (&parents));
  if (resolve (&walk, err) < 0)
    return NULL;
  return xasprintf ("%s/%s", strbuf_str (&walk.done), path->parts[path->count - 1]);
}

int resolve_parents (int tree_fd, struct path *path, struct err *err)
{
  if (path->count < 2)
    return 0;
  autofree char *text = resolve_path (tree_fd, path, err);
  return text ? path_split (path, text, err) : -err->code;
}

int resolve_text (int tree_fd, const char *text, char **ret_text, struct err *err)
{
  autopath struct path path = {0}, resolved = {0};
  autofree char *changed = NULL;

  *ret_text = NULL;
  if (path_split (&path, text, err) < 0)
    return -err->code;
  if (path.count < 2)
    return 0;
  changed = resolve_path (tree_fd, &path, err);
  if (!changed || path_split (&resolved, changed, err) < 0)
    return -err->code;
  if (!path_equal (&path, &resolved))
    *ret_text = steal_ptr (&changed);
  return 0;
}
