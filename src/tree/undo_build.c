/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The making of an undo layer: a walk over the upper layer beside what it lies on. */
#include "undo_internal.h"
#include "clone.h"
#include "partners.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <sys/xattr.h>

#define WHITEOUT "whiteout" /* in txn/undo-links: what all whiteouts are links to */

struct build {
  struct undo_layers layers; /* owned */
  int undo_fd;               /* owned: undo/layer */
  int partners_fd;           /* owned: undo/partners */
  struct copies copies;      /* owned */
  struct u64table inodes; /* owned: of the tree or base; undo/layer has links to them, or copies */
  bool tree_partners;     /* those may have partners */
  uint64_t private_partners; /* how many names that are not in undo/layer copied inodes have */
  bool has_whiteout;
  bool redirects_known;
  bool has_redirects; /* the upper layer shows directories from below in another place */
};

static void build_release (struct build *build)
{
  undo_layers_release (&build->layers);
  cleanup_close (&build->undo_fd);
  cleanup_close (&build->partners_fd);
  copies_release (&build->copies);
  u64table_release (&build->inodes);
}
#define autobuild __attribute__ ((cleanup (build_release)))

/* Returns 1, 0 or negative. */
static int find_redirects (int dir_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    autolayerentry struct layer_entry entry = {0};
    const char *name = list.items[i].name;

    if (list.items[i].type != DT_DIR)
      continue;
    if (layer_read (dir_fd, name, /* x_whiteouts= */ false, &entry, err) < 0)
      return -err->code;
    if (entry.redirect)
      return 1;
    autoclose int fd = fd_open_dir (dir_fd, name);
    if (fd < 0)
      return err_errno (err, "open the directory %s of the upper layer", name);
    int found = find_redirects (fd, err);
    if (found)
      return found < 0 ? err_wrap (err, "%s", name) : found;
  }
  return 0;
}

/* May a file of private that a directory shows, but the upper layer does not have by its name, stay
 * in private? It does where a directory was renamed. Returns 1, 0 or negative. */
static int may_stay (struct build *build, struct err *err)
{
  if (!build->redirects_known) {
    int found = find_redirects (build->layers.upper_fd, err);

    if (found < 0)
      return found;
    build->has_redirects = found;
    build->redirects_known = true;
  }
  return build->has_redirects;
}

static int put_link (int from_fd, const char *name, int to_fd, struct err *err)
{
  if (linkat (from_fd, name, to_fd, name, 0) < 0)
    return err_errno (err, "link %s", name);
  return 0;
}

/* Nothing writes to the tree's inodes. Those of an object that is nearly full are copied. */
static int put_tree_file (struct build *build, int tree_fd, const char *name, const struct stat *st,
                          int to_fd, struct err *err)
{
  bool is_new = false;

  u64table_put (&build->inodes, st->st_ino, &is_new);
  build->tree_partners |= st->st_nlink > 1;
  if ((is_new && st->st_nlink >= UNDO_LINKS_MAX) || u64table_has (&build->copies.names, st->st_ino))
    return copies_put (&build->copies, tree_fd, name, st, to_fd, name, err);
  return put_link (tree_fd, name, to_fd, err);
}

/* A guest writes to private's inodes: a link is made where none stays there. */
static int put_private_file (struct build *build, int private_fd, const char *name,
                             const struct stat *st, int to_fd, bool whole, struct err *err)
{
  int stays = st->st_nlink > 1 ? 1 : whole ? may_stay (build, err) : 0;

  if (stays < 0)
    return stays;
  if (!stays)
    return put_link (private_fd, name, to_fd, err);
  if (!u64table_has (&build->copies.names, st->st_ino))
    build->private_partners += st->st_nlink;
  build->private_partners--;
  return copies_put (&build->copies, private_fd, name, st, to_fd, name, err);
}

/* The file @name of a layer comes back. @whole: with a directory that comes back as a whole. */
static int put_file (struct build *build, int layer_fd, bool private, const char *name, int to_fd,
                     bool whole, struct err *err)
{
  struct stat st;

  if (fstatat (layer_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  return private ? put_private_file (build, layer_fd, name, &st, to_fd, whole, err)
                 : put_tree_file (build, layer_fd, name, &st, to_fd, err);
}

static int put_whiteout (struct build *build, int to_fd, const char *name, struct err *err)
{
  if (!build->has_whiteout && layer_whiteout (-1, NULL, build->layers.links_fd, WHITEOUT, err) < 0)
    return -err->code;
  build->has_whiteout = true;
  return layer_whiteout (build->layers.links_fd, WHITEOUT, to_fd, name, err);
}

static int put_metadata (const struct lower *old, int to_fd, struct err *err)
{
  if (clone_directory_metadata (lower_top (old), to_fd, err) < 0)
    return -err->code;
  return old->priv < 0 ? 0 : layer_copy_protattr (old->priv, -1, NULL, to_fd, -1, NULL, err);
}

static int put_whole (struct build *build, const struct lower *old, int to_fd, struct err *err);

static int put_whole_child (struct build *build, const struct lower *old, const char *name,
                            int to_fd, struct err *err)
{
  autolower struct lower child = LOWER_NONE;

  if (lower_child (old, name, &child, err) < 0)
    return -err->code;
  autoclose int fd = fd_make_dir (to_fd, name, 0700);
  if (fd < 0)
    return err_errno (err, "make the directory %s", name);
  return put_whole (build, &child, fd, err) < 0 ? err_wrap (err, "%s", name) : 0;
}

/* What one layer shows of a directory. */
static int put_whole_layer (struct build *build, const struct lower *old, int layer_fd,
                            const struct dirlist *list, int to_fd, struct err *err)
{
  for (size_t i = 0; i < list->count; i++) {
    const struct dirread_entry *entry = &list->items[i];
    int ret;

    if (entry->type == DT_DIR)
      ret = put_whole_child (build, old, entry->name, to_fd, err);
    else
      ret = put_file (build, layer_fd, layer_fd == old->priv, entry->name, to_fd, /* whole= */ true,
                      err);
    if (ret < 0)
      return ret;
  }
  return 0;
}

/* The directory as it was with all that it had. */
static int put_whole (struct build *build, const struct lower *old, int to_fd, struct err *err)
{
  autolowerlists struct lower_lists lists = {0};

  if (lower_read (old, &lists, err) < 0 ||
      put_whole_layer (build, old, old->priv, &lists.priv, to_fd, err) < 0 ||
      put_whole_layer (build, old, old->tree, &lists.tree, to_fd, err) < 0 ||
      put_whole_layer (build, old, old->base, &lists.base, to_fd, err) < 0)
    return -err->code;
  return put_metadata (old, to_fd, err);
}

/* What @name was, whatever the upper layer has there now. */
static int put_old (struct build *build, const struct lower *old, const char *name,
                    const struct layer_entry *now, int to_fd, struct err *err)
{
  autolower struct lower child = LOWER_NONE;
  int file_fd = lower_find_file (old, name);

  if (file_fd >= 0)
    return put_file (build, file_fd, file_fd == old->priv, name, to_fd, /* whole= */ false, err);
  if (lower_child (old, name, &child, err) < 0)
    return -err->code;
  if (lower_top (&child) < 0)
    return now->whiteout ? 0 : put_whiteout (build, to_fd, name, err);
  autoclose int fd = fd_make_dir (to_fd, name, 0700);
  if (fd < 0)
    return err_errno (err, "make the directory %s", name);
  if (layer_set_opaque (fd, err) < 0 || put_whole (build, &child, fd, err) < 0)
    return err_wrap (err, "%s", name);
  return 0;
}

/* Notes on the directory which of its metadata is the same in the upper layer. */
static int put_same (const struct lower *old, int upper_fd, int to_fd, struct err *err)
{
  autoxattrs struct xattrs before = {0}, after = {0};
  char same[UNDO_SAME_MAX];
  size_t len = 0;
  struct stat a, b;

  if (fstat (lower_top (old), &a) < 0 || fstat (upper_fd, &b) < 0)
    return err_errno (err, "stat a directory");
  if (xattrs_read (lower_top (old), -1, NULL, /* with_overlay= */ false, &before, err) < 0 ||
      xattrs_read (upper_fd, -1, NULL, /* with_overlay= */ false, &after, err) < 0)
    return -err->code;
  if (a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid &&
      xattrs_equal (&before, &after))
    same[len++] = UNDO_SAME_ATTRIBUTES;
  if (a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec)
    same[len++] = UNDO_SAME_TIME;
  if (len && fsetxattr (to_fd, UNDO_SAME, same, len, 0) < 0)
    return err_errno (err, "mark a directory of the undo layer");
  return 0;
}

static int put_changes (struct build *build, int upper_fd, bool x_whiteouts,
                        const struct lower *old, int to_fd, struct err *err);

static int put_entry (struct build *build, int upper_fd, const char *name, bool x_whiteouts,
                      const struct lower *old, int to_fd, struct err *err)
{
  autolayerentry struct layer_entry now = {0};
  autolower struct lower child = LOWER_NONE;

  if (layer_read (upper_fd, name, x_whiteouts, &now, err) < 0)
    return -err->code;
  bool merges = S_ISDIR (now.st.st_mode) && !now.opaque && !now.redirect;
  if (merges && lower_child (old, name, &child, err) < 0)
    return -err->code;
  if (!merges || lower_top (&child) < 0)
    return put_old (build, old, name, &now, to_fd, err);
  autoclose int upper = fd_open_dir (upper_fd, name);
  autoclose int to = upper < 0 ? -1 : fd_make_dir (to_fd, name, 0700);
  if (to < 0)
    return err_errno (err, "open or make the directory %s", name);
  if (put_changes (build, upper, now.x_whiteouts, &child, to, err) < 0)
    return err_wrap (err, "%s", name);
  return 0;
}

/* One directory that merges with what is below, and was one before as well. */
static int put_changes (struct build *build, int upper_fd, bool x_whiteouts,
                        const struct lower *old, int to_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (upper_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (put_entry (build, upper_fd, list.items[i].name, x_whiteouts, old, to_fd, err) < 0)
      return -err->code;
  if (put_same (old, upper_fd, to_fd, err) < 0)
    return -err->code;
  return put_metadata (old, to_fd, err);
}

/* mkdir -p below partners/. The fd, or negative. */
static int make_path (int top_fd, const char *path, struct err *err)
{
  int fd = fcntl (top_fd, F_DUPFD_CLOEXEC, 3);

  while (fd >= 0 && *path) {
    size_t len = strcspn (path, "/");
    autofree char *name = xstrndup (path, len);
    int child = fd_make_dir (fd, name, 0700);

    close (fd);
    fd = child;
    path += len + (path[len] == '/');
  }
  return fd < 0 ? err_errno (err, "make a directory for hard-link partners") : fd;
}

static int note_partner (void *data, const struct partner *partner, struct err *err)
{
  struct build *build = data;
  autoclose int to_fd = make_path (build->partners_fd, partner->dir_path, err);

  if (to_fd < 0)
    return to_fd;
  if (u64table_has (&build->copies.names, partner->ino))
    return copies_link (&build->copies, partner->ino, to_fd, partner->name, err);
  if (linkat (partner->dir_fd, partner->name, to_fd, partner->name, 0) < 0)
    return err_errno (err, "link the hard-link partner %s", partner->name);
  return 0;
}

/* @priv_fd and @tree_fd are layers over it, or -1. */
static int put_partners_of (struct build *build, int layer_fd, int priv_fd, int tree_fd,
                            const struct u64table *inodes, struct err *err)
{
  struct partners_walk walk = {
      .layer_fd = layer_fd,
      .over_fds = {build->undo_fd, priv_fd, tree_fd},
      .beside_fd = -1,
      .inodes = inodes,
      .visit = note_partner,
      .data = build,
  };

  return partners_each (&walk, err);
}

static int put_partners (struct build *build, struct err *err)
{
  const struct lower *root = &build->layers.root;

  if ((build->tree_partners &&
       put_partners_of (build, root->tree, root->priv, -1, &build->inodes, err) < 0) ||
      (build->tree_partners && root->base >= 0 &&
       put_partners_of (build, root->base, root->priv, root->tree, &build->inodes, err) < 0) ||
      (build->private_partners &&
       put_partners_of (build, root->priv, -1, -1, &build->copies.names, err) < 0))
    return err_wrap (err, "look for hard-link partners");
  return 0;
}

int undo_build (int guest_fd, int entry_fd, struct err *err)
{
  autobuild struct build build = {
      .layers = {LOWER_NONE, -1, -1, -1},
      .undo_fd = -1,
      .partners_fd = -1,
  };

  if (undo_layers_open (guest_fd, &build.layers, err) < 0)
    return -err->code;
  build.copies.fd = build.layers.links_fd;
  autoclose int fd = fd_make_dir (entry_fd, "undo", 0700);
  build.undo_fd = fd < 0 ? -1 : fd_make_dir (fd, "layer", 0700);
  build.partners_fd = fd < 0 ? -1 : fd_make_dir (fd, "partners", 0700);
  if (build.undo_fd < 0 || build.partners_fd < 0)
    return err_errno (err, "make the undo layer");
  if (put_changes (&build, build.layers.upper_fd, /* x_whiteouts= */ false, &build.layers.root,
                   build.undo_fd, err) < 0 ||
      put_partners (&build, err) < 0 || undo_layers_finish (&build.layers, err) < 0)
    return err_wrap (err, "the undo layer");
  return 0;
}
