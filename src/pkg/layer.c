/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer.h"
#include "tree/clone.h"
#include "tree/fold.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "unify/policy.h"
#include "util/copy.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/xattr.h"
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Is there anything but a directory at @name? */
static int refuse_other (const struct lower *lower, const char *name, struct err *err)
{
  if (lower_find_file (lower, name) >= 0)
    return err_code (err, ENOTDIR, "%s is no directory in the guest", name);
  return 0;
}

static int make_opaque (int fd, struct err *err)
{
  if (fsetxattr (fd, XATTR_OVERLAY "opaque", "y", 1, 0) < 0)
    return err_errno (err, "make a directory of a layer opaque");
  return 0;
}

static int put_times_back (int fd, const struct stat *st, struct err *err)
{
  const struct timespec times[] = {st->st_atim, st->st_mtim};

  return futimens (fd, times) < 0 ? err_errno (err, "put the times of a directory back") : 0;
}

/* Makes the directory @path below @dir_fd, part by part; each that is new gets the metadata of the
 * one in @lower, which is followed, and the others keep their times. Returns the last one's
 * descriptor, or negative. */
static int make_path (int dir_fd, const char *path, struct lower *lower, struct err *err)
{
  size_t len = strcspn (path, "/");
  autofree char *name = xstrndup (path, len);
  struct lower child = LOWER_NONE;
  struct stat st;

  if (fstat (dir_fd, &st) < 0)
    return err_errno (err, "stat the directory of %s", path);
  if (!len)
    return fcntl (dir_fd, F_DUPFD_CLOEXEC, 3);
  if (refuse_other (lower, name, err) < 0 || lower_child (lower, name, &child, err) < 0)
    return err_wrap (err, "%s", path);
  lower_close (lower);
  *lower = child;
  autoclose int like = fcntl (lower_top (&child), F_DUPFD_CLOEXEC, 3);
  bool is_new = mkdirat (dir_fd, name, 0755) == 0;
  if (!is_new && errno != EEXIST)
    return err_errno (err, "make the directory %s", path);
  autoclose int fd = fd_open_dir (dir_fd, name);
  if (fd < 0)
    return err_errno (err, "open the directory %s", path);
  autoclose int last = make_path (fd, path + len + (path[len] == '/'), lower, err);
  if (last < 0)
    return err->code ? -err->code : err_errno (err, "duplicate a descriptor");
  /* Behind what was made in it, which changes its time. */
  if (is_new && like >= 0 && clone_directory_metadata (like, fd, err) < 0)
    return err_wrap (err, "%s", path);
  if (put_times_back (dir_fd, &st, err) < 0)
    return -err->code;
  return steal_fd (&last);
}

/* The same in the directory @layer ("txn/layer", "txn/upper") of the guest. */
static int make_in (struct guest *guest, const char *layer, const char *path,
                    struct lower *ret_lower, struct err *err)
{
  autoclose int top_fd = fd_open_dir_beneath (guest->fd, layer);

  if (top_fd < 0)
    return err_errno (err, "open %s of guest %s", layer, guest->name);
  if (lower_open (guest->fd, /* with_private= */ true, ret_lower, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  int fd = make_path (top_fd, path, ret_lower, err);
  return fd < 0 ? err_wrap (err, "guest %s: %s", guest->name, layer) : fd;
}

int pkg_layer_directory (struct guest *guest, const char *path, struct err *err)
{
  autolower struct lower lower = LOWER_NONE;
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  autoclose int layer_fd = fd_make_dir (txn_fd, "layer", 0755);
  if (layer_fd < 0)
    return err_errno (err, "make txn/layer of guest %s", guest->name);
  return make_in (guest, "txn/layer", path, &lower, err);
}

/* What is done with each regular file of a directory: a link, where @rules say nothing else, or a
 * copy. Where there are rules only files that move to the tree for certain may be links: a name in
 * private can be written to. */
struct filling {
  bool copy;
  const struct rules *rules; /* or NULL */
};

static bool may_link (const struct filling *filling, const struct rules_state *state,
                      const struct stat *st)
{
  if (filling->copy)
    return false;
  return !filling->rules ||
         (rules_settle (filling->rules, state->verdict, st) & FOLD_CLASS_MASK) == FOLD_EAGER;
}

static const struct rules_state no_rules;

static int fill_entry (int from_fd, int to_fd, const char *name, const struct filling *filling,
                       const struct rules_state *state, struct err *err);

/* Links or copies regular files and directories from @from_fd to @to_fd, all but what is there
 * already. */
static int fill (int from_fd, int to_fd, const struct filling *filling,
                 const struct rules_state *state, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (from_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    autorulesstate struct rules_state child = {0};

    if (filling->rules)
      rules_enter (filling->rules, state, list.items[i].name, &child);
    if (fill_entry (from_fd, to_fd, list.items[i].name, filling, &child, err) < 0)
      return -err->code;
  }
  return 0;
}

static int fill_entry (int from_fd, int to_fd, const char *name, const struct filling *filling,
                       const struct rules_state *state, struct err *err)
{
  struct stat st, there;

  if (fstatat (from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  bool is_there = fstatat (to_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
  if (S_ISDIR (st.st_mode)) {
    if (is_there && !S_ISDIR (there.st_mode))
      return 0;
    autoclose int from = fd_open_dir (from_fd, name);
    autoclose int to = fd_make_dir (to_fd, name, 0755);
    if (from < 0 || to < 0)
      return err_errno (err, "make the directory %s", name);
    if (fill (from, to, filling, state, err) < 0 ||
        (!is_there && clone_directory_metadata (from, to, err) < 0))
      return err_wrap (err, "%s", name);
    return 0;
  }
  if (!S_ISREG (st.st_mode) || is_there)
    return 0;
  if (may_link (filling, state, &st) && linkat (from_fd, name, to_fd, name, 0) == 0)
    return 0;
  /* Wanted as a copy; or a full inode (EMLINK), or another file system. */
  return copy_inode (from_fd, name, &st, -1, NULL, to_fd, name, err);
}

/* The same from all that a guest shows of a directory. */
static int fill_lower (const struct lower *lower, int to_fd, const struct filling *filling,
                       struct err *err)
{
  autolowerlists struct lower_lists lists = {0};

  if (lower_read (lower, &lists, err) < 0)
    return -err->code;
  const struct {
    int fd;
    const struct dirlist *list;
  } layers[] = {{lower->priv, &lists.priv}, {lower->tree, &lists.tree}, {lower->base, &lists.base}};
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
    for (size_t k = 0; k < layers[i].list->count; k++) {
      const struct dirread_entry *entry = &layers[i].list->items[k];
      autolower struct lower child = LOWER_NONE;

      if (entry->type != DT_DIR) {
        if (fill_entry (layers[i].fd, to_fd, entry->name, filling, &no_rules, err) < 0)
          return -err->code;
        continue;
      }
      if (lower_child (lower, entry->name, &child, err) < 0)
        return -err->code;
      autoclose int to = fd_make_dir (to_fd, entry->name, 0755);
      if (to < 0)
        return err_errno (err, "make the directory %s", entry->name);
      if (fill_lower (&child, to, filling, err) < 0 ||
          clone_directory_metadata (lower_top (&child), to, err) < 0)
        return err_wrap (err, "%s", entry->name);
    }
  return 0;
}

int pkg_layer_replace (struct guest *guest, const char *path, int from_fd, struct err *err)
{
  autoclose int fd = pkg_layer_directory (guest, path, err);

  if (fd < 0)
    return -err->code;
  const struct filling links = {0};
  if (fill (from_fd, fd, &links, &no_rules, err) < 0 || make_opaque (fd, err) < 0)
    return err_wrap (err, "guest %s: txn/layer/%s", guest->name, path);
  return 0;
}

int pkg_layer_add (struct guest *guest, const char *path, int from_fd, struct err *err)
{
  autoclose int fd = pkg_layer_directory (guest, path, err);

  if (fd < 0)
    return -err->code;
  const struct filling links = {0};
  if (fill (from_fd, fd, &links, &no_rules, err) < 0)
    return err_wrap (err, "guest %s: txn/layer/%s", guest->name, path);
  return 0;
}

int pkg_layer_remove (struct guest *guest, struct err *err)
{
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");

  if (txn_fd < 0)
    return err_errno (err, "open txn of guest %s", guest->name);
  if (fd_remove_tree (txn_fd, "layer", err) < 0)
    return err_wrap (err, "txn of guest %s", guest->name);
  return 0;
}

int pkg_layer_catch (struct guest *guest, const char *path, bool empty, struct err *err)
{
  autolower struct lower lower = LOWER_NONE;
  autoclose int fd = make_in (guest, "txn/upper", path, &lower, err);

  if (fd < 0)
    return -err->code;
  if (empty)
    lower_close (&lower);
  const struct filling copies = {.copy = true};
  if (fill_lower (&lower, fd, &copies, err) < 0 || make_opaque (fd, err) < 0)
    return err_wrap (err, "guest %s: %s", guest->name, path);
  return 0;
}

/* Removes all but regular files and directories, and the marks of the layer. */
static int clean (int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (fremovexattr (fd, XATTR_OVERLAY "opaque") < 0 && errno != ENODATA)
    return err_errno (err, "remove the mark of a layer");
  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (entry->type == DT_DIR) {
      autoclose int child = fd_open_dir (fd, entry->name);

      if (child < 0)
        return err_errno (err, "open the directory %s", entry->name);
      if (clean (child, err) < 0)
        return err_wrap (err, "%s", entry->name);
    } else if (entry->type != DT_REG && unlinkat (fd, entry->name, 0) < 0) {
      return err_errno (err, "remove %s", entry->name);
    }
  }
  return 0;
}

int pkg_layer_take (struct guest *guest, const char *path, int to_fd, const char *name,
                    struct err *err)
{
  const char *slash = strrchr (path, '/');
  autofree char *parent = xasprintf ("txn/upper/%.*s", slash ? (int) (slash - path) : 0, path);
  autoclose int parent_fd = fd_open_dir_beneath (guest->fd, parent);

  if (parent_fd < 0)
    return err_errno (err, "open %s of guest %s", parent, guest->name);
  autoclose int fd = fd_open_dir (parent_fd, slash ? slash + 1 : path);
  if (fd < 0)
    return err_errno (err, "open %s in the layer of guest %s", path, guest->name);
  if (clean (fd, err) < 0)
    return err_wrap (err, "guest %s: %s", guest->name, path);
  if (fd_rename (parent_fd, slash ? slash + 1 : path, to_fd, name, RENAME_NOREPLACE) < 0)
    return err_errno (err, "move %s out of the layer of guest %s", path, guest->name);
  return 0;
}

int pkg_layer_make_plain (int fd, struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};

  if (xattrs_read (fd, -1, NULL, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  for (size_t i = 0; i < xattrs.count; i++)
    if (fremovexattr (fd, xattrs.items[i].name) < 0 && errno != ENODATA)
      return err_errno (err, "remove the attribute %s", xattrs.items[i].name);
  if (fchown (fd, 0, 0) < 0 || fchmod (fd, 0644) < 0)
    return err_errno (err, "give it to root");
  return 0;
}

/* A copy of metadata alone has its contents in a lower layer: it is none of the files we want. */
static int take_package (int from_fd, const char *name, int to_fd, struct err *err)
{
  autoclose int fd = fd_open (from_fd, name, O_RDONLY | O_NONBLOCK, 0);

  if (fd < 0)
    return err_errno (err, "open %s", name);
  if (fgetxattr (fd, XATTR_OVERLAY "metacopy", NULL, 0) >= 0)
    return 0;
  if (pkg_layer_make_plain (fd, err) < 0)
    return err_wrap (err, "%s", name);
  if (fd_rename (from_fd, name, to_fd, name, RENAME_NOREPLACE) < 0 && errno != EEXIST)
    return err_errno (err, "move %s", name);
  return 0;
}

static bool ends_in (const char *name, const char *suffix)
{
  size_t len = strlen (name), suffix_len = strlen (suffix);

  return len > suffix_len && strcmp (name + len - suffix_len, suffix) == 0;
}

static int take_packages (int from_fd, int to_fd, const char *suffix, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (from_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (entry->type == DT_DIR) {
      autoclose int from = fd_open_dir (from_fd, entry->name);
      autoclose int to = fd_make_dir (to_fd, entry->name, 0755);

      if (from < 0 || to < 0)
        return err_errno (err, "make the directory %s", entry->name);
      if (take_packages (from, to, suffix, err) < 0)
        return err_wrap (err, "%s", entry->name);
    } else if (entry->type == DT_REG && ends_in (entry->name, suffix) &&
               take_package (from_fd, entry->name, to_fd, err) < 0) {
      return -err->code;
    }
  }
  return 0;
}

int pkg_layer_take_packages (struct guest *guest, const char *path, const char *suffix, int to_fd,
                             struct err *err)
{
  autofree char *upper = xasprintf ("txn/upper/%s", path);
  autoclose int from = fd_open_dir_beneath (guest->fd, upper);

  if (from < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open %s of guest %s", upper, guest->name);
  if (take_packages (from, to_fd, suffix, err) < 0)
    return err_wrap (err, "guest %s: %s", guest->name, path);
  return 0;
}

/* Whiteouts in @upper for what @lower_fd has, and neither @layer nor @upper. What a tree hides of
 * its base gets one more, which changes nothing. */
static int hide_stale (int lower_fd, int layer, int upper, struct err *err)
{
  autodirlist struct dirlist list = {0};
  struct stat st;

  if (dirread_all (lower_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;

    if (fstatat (layer, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
        fstatat (upper, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
      continue;
    if (mknodat (upper, name, S_IFCHR, makedev (0, 0)) < 0)
      return err_errno (err, "make a whiteout for %s", name);
  }
  return 0;
}

int pkg_layer_keep (struct guest *guest, const char *path, struct err *err)
{
  autolower struct lower lower = LOWER_NONE;
  autopolicy struct policy policy = {0};
  autorulesstate struct rules_state state = {0};
  autoclose int layer_top = fd_open_dir_beneath (guest->fd, "txn/layer");
  autoclose int layer = layer_top < 0 ? -1 : fd_open_dir_beneath (layer_top, path);

  if (layer < 0)
    return err_errno (err, "open txn/layer/%s of guest %s", path, guest->name);
  autoclose int upper = make_in (guest, "txn/upper", path, &lower, err);
  if (upper < 0)
    return -err->code;
  if (policy_load (guest->fd, &policy, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  rules_enter_path (&policy.rules, FOLD_SHARED, path, &state);
  const struct filling filling = {.rules = &policy.rules};
  if (fill (layer, upper, &filling, &state, err) < 0 ||
      (lower.priv >= 0 && hide_stale (lower.priv, layer, upper, err) < 0) ||
      (lower.tree >= 0 && hide_stale (lower.tree, layer, upper, err) < 0) ||
      (lower.base >= 0 && hide_stale (lower.base, layer, upper, err) < 0))
    return err_wrap (err, "guest %s: %s", guest->name, path);
  return 0;
}
