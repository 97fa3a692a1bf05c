/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lower.h"
#include "layer.h"
#include "util/fd.h"

void lower_close (struct lower *lower)
{
  cleanup_close (&lower->priv);
  cleanup_close (&lower->tree);
  cleanup_close (&lower->base);
  *lower = LOWER_NONE;
}

/* What the link says, for messages. The caller's string. */
static char *read_target (int guest_fd)
{
  char target[4096];
  ssize_t len = readlinkat (guest_fd, LOWER_BASE, target, sizeof target - 1);

  return xstrndup (target, len < 0 ? 0 : (size_t) len);
}

int lower_open_base (int guest_fd, int tree_fd, int *ret_fd, struct err *err)
{
  autoclose int fd = openat (guest_fd, LOWER_BASE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0 && errno == ENOENT &&
      faccessat (guest_fd, LOWER_BASE, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
    *ret_fd = -1;
    return 0;
  }
  int why = errno;
  int opaque = layer_is_opaque (tree_fd, err);
  if (opaque < 0)
    return opaque;
  if (opaque) {
    *ret_fd = -1;
    return 0;
  }
  if (fd < 0) {
    autofree char *target = read_target (guest_fd);

    return err_code (err, EUCLEAN,
                     "the guest is thin, and its base %s cannot be opened (%s): bring that "
                     "directory back, or delete the guest",
                     target, strerror (why));
  }
  *ret_fd = steal_fd (&fd);
  return 0;
}

int lower_open (int guest_fd, bool with_private, struct lower *ret_lower, struct err *err)
{
  autolower struct lower lower = LOWER_NONE;

  lower.tree = fd_open_dir (guest_fd, "tree");
  if (with_private && lower.tree >= 0)
    lower.priv = fd_open_dir (guest_fd, "private");
  if (lower.tree < 0 || (with_private && lower.priv < 0))
    return err_errno (err, "open the layers of the guest");
  if (lower_open_base (guest_fd, lower.tree, &lower.base, err) < 0)
    return -err->code;
  *ret_lower = lower;
  lower = LOWER_NONE;
  return 0;
}

enum kind { KIND_NONE, KIND_DIR, KIND_OTHER, KIND_WHITEOUT };

static enum kind kind_of (int dir_fd, const char *name)
{
  struct stat st;

  if (dir_fd < 0 || fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return KIND_NONE;
  if (layer_is_whiteout (&st))
    return KIND_WHITEOUT;
  return S_ISDIR (st.st_mode) ? KIND_DIR : KIND_OTHER;
}

int lower_child (const struct lower *lower, const char *name, struct lower *ret_child,
                 struct err *err)
{
  autolower struct lower child = LOWER_NONE;
  enum kind priv = kind_of (lower->priv, name);
  /* A private layer that a guest runs on has whiteouts. */
  bool over = priv == KIND_OTHER || priv == KIND_WHITEOUT;
  enum kind tree = over ? KIND_OTHER : kind_of (lower->tree, name);
  int hidden = tree == KIND_OTHER || tree == KIND_WHITEOUT;

  if (priv == KIND_DIR && (child.priv = fd_open_dir (lower->priv, name)) < 0)
    return err_errno (err, "open the directory %s of private", name);
  if (tree == KIND_DIR && (child.tree = fd_open_dir (lower->tree, name)) < 0)
    return err_errno (err, "open the directory %s of the tree", name);
  if (child.tree >= 0 && lower->base >= 0)
    hidden = layer_is_opaque (child.tree, err);
  if (hidden < 0)
    return err_wrap (err, "%s", name);
  if (!hidden && kind_of (lower->base, name) == KIND_DIR &&
      (child.base = fd_open_dir (lower->base, name)) < 0)
    return err_errno (err, "open the directory %s of the base", name);
  *ret_child = child;
  child = LOWER_NONE;
  return 0;
}

static int duplicate (int from, int *ret_fd)
{
  *ret_fd = from < 0 ? -1 : fcntl (from, F_DUPFD_CLOEXEC, 3);
  return from >= 0 && *ret_fd < 0 ? -1 : 0;
}

int lower_lookup (const struct lower *root, const char *path, struct lower *ret_lower,
                  struct err *err)
{
  autolower struct lower at = LOWER_NONE;

  if (duplicate (root->priv, &at.priv) < 0 || duplicate (root->tree, &at.tree) < 0 ||
      duplicate (root->base, &at.base) < 0)
    return err_errno (err, "duplicate a descriptor");
  while (*path) {
    size_t len = strcspn (path, "/");

    if (len) {
      autofree char *name = xstrndup (path, len);
      struct lower child = LOWER_NONE;

      if (lower_child (&at, name, &child, err) < 0)
        return -err->code;
      lower_close (&at);
      at = child;
    }
    path += len;
    if (*path)
      path++;
  }
  *ret_lower = at;
  at = LOWER_NONE;
  return 0;
}

int lower_find_file (const struct lower *lower, const char *name)
{
  const int layers[] = {lower->priv, lower->tree, lower->base};

  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
    enum kind kind = kind_of (layers[i], name);

    if (kind != KIND_NONE)
      return kind == KIND_OTHER ? layers[i] : -1;
  }
  return -1;
}

void lower_lists_release (struct lower_lists *lists)
{
  dirlist_release (&lists->priv);
  dirlist_release (&lists->tree);
  dirlist_release (&lists->base);
}

/* Takes out of @list what @above has. */
static void take_hidden (struct dirlist *list, const struct dirlist *above)
{
  size_t count = 0;

  for (size_t i = 0; i < list->count; i++)
    if (!dirlist_find (above, list->items[i].name))
      list->items[count++] = list->items[i];
  list->count = count;
}

static int take_whiteouts (struct dirlist *list, int fd, struct err *err)
{
  size_t count = 0;

  for (size_t i = 0; i < list->count; i++) {
    struct stat st;

    if (list->items[i].type == DT_CHR) {
      if (fstatat (fd, list->items[i].name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno (err, "stat %s of the tree", list->items[i].name);
      if (layer_is_whiteout (&st))
        continue;
    }
    list->items[count++] = list->items[i];
  }
  list->count = count;
  return 0;
}

int lower_read (const struct lower *lower, struct lower_lists *ret_lists, struct err *err)
{
  autolowerlists struct lower_lists lists = {0};

  if ((lower->priv >= 0 && dirread_all (lower->priv, &lists.priv, err) < 0) ||
      (lower->tree >= 0 && dirread_all (lower->tree, &lists.tree, err) < 0) ||
      (lower->base >= 0 && dirread_all (lower->base, &lists.base, err) < 0))
    return -err->code;
  take_hidden (&lists.base, &lists.priv);
  take_hidden (&lists.base, &lists.tree);
  if (lower->base >= 0 && take_whiteouts (&lists.tree, lower->tree, err) < 0)
    return -err->code;
  take_hidden (&lists.tree, &lists.priv);
  *ret_lists = lists;
  lists = (struct lower_lists){0};
  return 0;
}
