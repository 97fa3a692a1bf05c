/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer of a transaction made from an undo layer. No data is copied, but where an inode of the
 * tree cannot be used again. */
#include "undo_internal.h"
#include "clone.h"
#include "fold.h"
#include "partners.h"
#include "store/identity.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <sys/xattr.h>

enum { PATH_LENGTH_MAX = 1 << 26 };

/* An inode of the undo layer. */
struct inode {
  uint64_t ino;
  uint64_t links;
  uint64_t names; /* in layer/ and partners/ */
  bool taken;     /* it is in the tree at a name that is no partner: copied */
};

/* An inode that partners are on now. */
struct joined {
  uint64_t ino;
  bool private;
  uint64_t links;
  uint64_t names; /* of it that would go to the group of the undo layer */
  bool taken;     /* it has others, which stay */
};

struct stage {
  struct undo_layers layers; /* owned */
  int undo_fd;               /* owned: undo/layer */
  int partners_fd;           /* owned: undo/partners */
  const struct rules *rules; /* borrowed */
  struct u64table *as_is;    /* borrowed */
  struct copies copies;      /* owned */
  struct u64table index;     /* owned: inode -> index into inodes */
  struct inode *inodes;      /* owned */
  size_t inode_count;
  struct u64table joined_index; /* owned: inode -> index into joined */
  struct joined *joined;        /* owned */
  size_t joined_count;
  uint64_t *partners; /* owned: for each of partners/, as they are walked: what it is on, or 0 */
  size_t partner_count;
  size_t partner_next;
  struct strbuf path; /* owned: of the walk over partners/ */
};

static void stage_release (struct stage *stage)
{
  undo_layers_release (&stage->layers);
  cleanup_close (&stage->undo_fd);
  cleanup_close (&stage->partners_fd);
  copies_release (&stage->copies);
  u64table_release (&stage->index);
  u64table_release (&stage->joined_index);
  free (stage->inodes);
  free (stage->joined);
  free (stage->partners);
  strbuf_release (&stage->path);
}
#define autostage __attribute__ ((cleanup (stage_release)))

/* The array, which has @count items of @size bytes, with room for one more. */
static void *grow (void *items, size_t count, size_t size)
{
  return count & (count - 1) ? items : xreallocarray (items, count ? count * 2 : 1, size);
}

static void note_inode (struct stage *stage, const struct stat *st)
{
  bool is_new = false;
  uint64_t *at = u64table_put (&stage->index, st->st_ino, &is_new);

  if (is_new) {
    stage->inodes = grow (stage->inodes, stage->inode_count, sizeof *stage->inodes);
    *at = stage->inode_count++;
    stage->inodes[*at] = (struct inode){.ino = st->st_ino, .links = st->st_nlink};
  }
  stage->inodes[*at].names++;
}

static int note_inodes (struct stage *stage, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    struct stat st;

    if (list.items[i].type == DT_DIR) {
      autoclose int child = fd_open_dir (fd, name);

      if (child < 0)
        return err_errno (err, "open the directory %s", name);
      if (note_inodes (stage, child, err) < 0)
        return err_wrap (err, "%s", name);
      continue;
    }
    if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", name);
    if (!layer_is_whiteout (&st))
      note_inode (stage, &st);
  }
  return 0;
}

/* Has the inode no name but those in the undo layer? Else it is a tree's. */
static bool is_own (const struct inode *inode)
{
  return inode->links <= inode->names;
}

/* Where the tree's inode itself can be put back. */
static bool is_as_is (const struct inode *inode)
{
  return !is_own (inode) && !inode->taken && inode->links + 2 * inode->names <= UNDO_LINKS_MAX;
}

static struct inode *find_inode (const struct stage *stage, uint64_t ino)
{
  const uint64_t *at = u64table_get (&stage->index, ino);

  return at ? &stage->inodes[*at] : NULL;
}

/* Partners of files that were private: a group of hard links is put back as a whole, as far as its
 * names are what they were. */

static struct joined *put_joined (struct stage *stage, const struct stat *st, bool private)
{
  bool is_new = false;
  uint64_t *at = u64table_put (&stage->joined_index, st->st_ino, &is_new);

  if (is_new) {
    stage->joined = grow (stage->joined, stage->joined_count, sizeof *stage->joined);
    *at = stage->joined_count++;
    stage->joined[*at] = (struct joined){.ino = st->st_ino, .links = private ? st->st_nlink : 0};
  }
  return &stage->joined[*at];
}

/* May its mtime differ? */
static unsigned identity_flags (const struct stage *stage, const char *path, const struct stat *st)
{
  unsigned verdict =
      rules_settle (stage->rules, rules_verdict (stage->rules, FOLD_SHARED, path), st);

  return verdict & FOLD_ANY_MTIME ? IDENTITY_ANY_MTIME : 0;
}

/* Is the partner @name now what it was? Then *@ret_ino is the inode that it is on, else 0. */
static int look_at_partner (struct stage *stage, int dir_fd, const char *name,
                            const struct lower *now, uint64_t *ret_ino, struct err *err)
{
  int now_fd = lower_find_file (now, name);
  struct stat st, now_st;

  *ret_ino = 0;
  if (now_fd < 0)
    return 0;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      fstatat (now_fd, name, &now_st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  const struct inode *inode = find_inode (stage, st.st_ino);
  if (!inode || !is_own (inode))
    return 0;
  size_t before = strbuf_push_name (&stage->path, name);
  unsigned flags = identity_flags (stage, strbuf_str (&stage->path), &st);
  strbuf_truncate (&stage->path, before);
  int same = identity_same (dir_fd, name, now_fd, name, flags, err);
  if (same <= 0)
    return same;
  put_joined (stage, &now_st, now_fd == now->priv)->names++;
  *ret_ino = now_st.st_ino;
  return 0;
}

typedef int partner_fn (struct stage *stage, int dir_fd, const char *name, const struct lower *now,
                        struct err *err);

/* Calls @visit for all of partners/, always in the same order. */
static int each_partner (struct stage *stage, int dir_fd, const struct lower *now,
                         partner_fn *visit, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    autolower struct lower child = LOWER_NONE;
    const char *name = list.items[i].name;

    if (list.items[i].type != DT_DIR) {
      if (visit (stage, dir_fd, name, now, err) < 0)
        return -err->code;
      continue;
    }
    autoclose int fd = fd_open_dir (dir_fd, name);
    if (fd < 0)
      return err_errno (err, "open the directory %s", name);
    if (lower_child (now, name, &child, err) < 0)
      return -err->code;
    size_t before = strbuf_push_name (&stage->path, name);
    int ret = each_partner (stage, fd, &child, visit, err);
    strbuf_truncate (&stage->path, before);
    if (ret < 0)
      return err_wrap (err, "%s", name);
  }
  return 0;
}

static int note_partner (struct stage *stage, int dir_fd, const char *name, const struct lower *now,
                         struct err *err)
{
  stage->partners = grow (stage->partners, stage->partner_count, sizeof *stage->partners);
  return look_at_partner (stage, dir_fd, name, now, &stage->partners[stage->partner_count++], err);
}

/* A name that stays, and is not in partners/, is on an inode that is asked for. */
static int note_taken (void *data, const struct partner *partner, struct err *err)
{
  struct stage *stage = data;
  struct inode *inode = find_inode (stage, partner->ino);
  const uint64_t *at = u64table_get (&stage->joined_index, partner->ino);

  (void) err;
  if (inode && !partner->known)
    inode->taken = true;
  if (at && !partner->known)
    stage->joined[*at].taken = true;
  return 0;
}

/* Looks for the names of @inodes in a layer; @priv_fd and @tree_fd are layers that hide some, or
 * -1. */
static int find_names (struct stage *stage, int layer_fd, int priv_fd, int tree_fd,
                       const struct u64table *inodes, struct err *err)
{
  struct partners_walk walk = {
      .layer_fd = layer_fd,
      .over_fds = {stage->undo_fd, priv_fd, tree_fd},
      .beside_fd = stage->partners_fd,
      .inodes = inodes,
      .visit = note_taken,
      .data = stage,
  };

  return partners_each (&walk, err);
}

/* Two names must not come to share an inode only because both were the same object at different
 * times, and a group must not lose a name that it got since. */
static int find_taken (struct stage *stage, struct err *err)
{
  const struct lower *root = &stage->layers.root;
  autou64table struct u64table of_tree = {0}, of_private = {0};

  for (size_t i = 0; i < stage->inode_count; i++)
    if (!is_own (&stage->inodes[i]))
      u64table_add (&of_tree, stage->inodes[i].ino);
  for (size_t i = 0; i < stage->joined_count; i++) {
    const struct joined *joined = &stage->joined[i];

    if (joined->links > joined->names)
      u64table_add (joined->private ? &of_private : &of_tree, joined->ino);
  }
  if (find_names (stage, root->tree, root->priv, -1, &of_tree, err) < 0 ||
      (root->base >= 0 &&
       find_names (stage, root->base, root->priv, root->tree, &of_tree, err) < 0))
    return -err->code;
  return find_names (stage, root->priv, -1, -1, &of_private, err);
}

/* Adding a name to a directory changes its time, which is put back. */
struct times {
  int fd; /* borrowed */
  struct timespec times[2];
};

static int times_keep (int fd, struct times *ret_times, struct err *err)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a directory");
  *ret_times = (struct times){fd, {st.st_atim, st.st_mtim}};
  return 0;
}

static int times_put_back (const struct times *times, struct err *err)
{
  if (futimens (times->fd, times->times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

/* The directory @name of the upper layer, made like that below when it is not there. */
static int open_upper_dir (int upper_fd, const char *name, const struct lower *now, int *ret_fd,
                           struct err *err)
{
  struct times times;
  autoclose int fd = fd_open_dir (upper_fd, name);

  if (fd < 0 && errno != ENOENT)
    return err_errno (err, "open the directory %s", name);
  if (fd < 0) {
    if (times_keep (upper_fd, &times, err) < 0)
      return -err->code;
    fd = fd_make_dir (upper_fd, name, 0700);
    if (fd < 0)
      return err_errno (err, "make the directory %s", name);
    if (clone_directory_metadata (lower_top (now), fd, err) < 0 || times_put_back (&times, err) < 0)
      return -err->code;
  }
  *ret_fd = steal_fd (&fd);
  return 0;
}

/* The directory of the upper layer that the walk over partners/ is in. The fd, or negative. */
static int open_upper_path (struct stage *stage, struct err *err)
{
  autolower struct lower now = LOWER_NONE;
  const char *path = strbuf_str (&stage->path);
  autoclose int fd = fd_open_dir (stage->layers.upper_fd, ".");

  if (fd < 0)
    return err_errno (err, "open the upper layer");
  if (lower_lookup (&stage->layers.root, "", &now, err) < 0)
    return -err->code;
  while (*path) {
    autolower struct lower child = LOWER_NONE;
    size_t len = strcspn (path, "/");
    autofree char *name = xstrndup (path, len);
    int child_fd = -1;

    if (lower_child (&now, name, &child, err) < 0 ||
        open_upper_dir (fd, name, &child, &child_fd, err) < 0)
      return -err->code;
    close (fd);
    fd = child_fd;
    lower_close (&now);
    now = child;
    child = LOWER_NONE;
    path += len + (path[len] == '/');
  }
  return steal_fd (&fd);
}

static int join_partner (struct stage *stage, int dir_fd, const char *name, const struct lower *now,
                         struct err *err)
{
  uint64_t ino = stage->partners[stage->partner_next++];
  const uint64_t *at = ino ? u64table_get (&stage->joined_index, ino) : NULL;
  struct times times;

  (void) now;
  if (!at)
    return 0;
  if (stage->joined[*at].taken)
    return 0;
  autoclose int upper_fd = open_upper_path (stage, err);
  if (upper_fd < 0 || times_keep (upper_fd, &times, err) < 0)
    return -err->code;
  if (linkat (dir_fd, name, upper_fd, name, 0) < 0)
    return err_errno (err, "link %s", name);
  return times_put_back (&times, err);
}

/* The layer itself. */

static int put_file (struct stage *stage, int undo_fd, const char *name, const struct stat *st,
                     int upper_fd, struct err *err)
{
  const struct inode *inode = find_inode (stage, st->st_ino);

  if (!inode)
    return err_code (err, ESTALE, "%s of the undo layer changed meanwhile", name);
  if (!is_own (inode) && !is_as_is (inode))
    return copies_put (&stage->copies, undo_fd, name, st, upper_fd, name, err);
  if (linkat (undo_fd, name, upper_fd, name, 0) < 0)
    return err_errno (err, "link %s", name);
  if (!is_own (inode))
    u64table_add (stage->as_is, inode->ino);
  return 0;
}

static int read_same (int undo_fd, char same[UNDO_SAME_MAX + 1], struct err *err)
{
  ssize_t len = fgetxattr (undo_fd, UNDO_SAME, same, UNDO_SAME_MAX);

  if (len < 0 && errno != ENODATA)
    return err_errno (err, "read the marks of a directory of the undo layer");
  same[len < 0 ? 0 : len] = '\0';
  return 0;
}

/* The directory's own metadata: what it was; or what it is, where the transaction did not change
 * it. */
static int put_metadata (int undo_fd, const struct lower *now, int upper_fd, struct err *err)
{
  char same[UNDO_SAME_MAX + 1];
  int now_fd = lower_top (now);
  struct stat st;

  if (read_same (undo_fd, same, err) < 0)
    return -err->code;
  int attributes_fd = now_fd >= 0 && strchr (same, UNDO_SAME_ATTRIBUTES) ? now_fd : undo_fd;
  int time_fd = now_fd >= 0 && strchr (same, UNDO_SAME_TIME) ? now_fd : undo_fd;
  if (clone_directory_metadata (attributes_fd, upper_fd, err) < 0 ||
      layer_copy_protattr (attributes_fd, -1, NULL, upper_fd, -1, NULL, err) < 0)
    return -err->code;
  if (fstat (time_fd, &st) < 0)
    return err_errno (err, "stat a directory");
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (futimens (upper_fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

static int put_dir (struct stage *stage, int undo_fd, const struct lower *now, int upper_fd,
                    struct err *err);

static int put_subdir (struct stage *stage, int undo_fd, const char *name, bool opaque,
                       const struct lower *now, int upper_fd, struct err *err)
{
  autolower struct lower child = LOWER_NONE;
  autoclose int undo = fd_open_dir (undo_fd, name);
  autoclose int upper = undo < 0 ? -1 : fd_make_dir (upper_fd, name, 0700);

  if (upper < 0)
    return err_errno (err, "open or make the directory %s", name);
  if ((opaque && layer_set_opaque (upper, err) < 0) ||
      (!opaque && lower_child (now, name, &child, err) < 0) ||
      put_dir (stage, undo, &child, upper, err) < 0)
    return err_wrap (err, "%s", name);
  return 0;
}

static int put_entry (struct stage *stage, int undo_fd, const char *name, const struct lower *now,
                      int upper_fd, struct err *err)
{
  autolayerentry struct layer_entry entry = {0};

  if (layer_read (undo_fd, name, /* x_whiteouts= */ false, &entry, err) < 0)
    return -err->code;
  if (entry.whiteout)
    return layer_whiteout (undo_fd, name, upper_fd, name, err);
  if (S_ISDIR (entry.st.st_mode))
    return put_subdir (stage, undo_fd, name, entry.opaque, now, upper_fd, err);
  return put_file (stage, undo_fd, name, &entry.st, upper_fd, err);
}

static int put_dir (struct stage *stage, int undo_fd, const struct lower *now, int upper_fd,
                    struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (undo_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (put_entry (stage, undo_fd, list.items[i].name, now, upper_fd, err) < 0)
      return -err->code;
  return put_metadata (undo_fd, now, upper_fd, err);
}

static int put_all (struct stage *stage, struct err *err)
{
  if (note_inodes (stage, stage->undo_fd, err) < 0 ||
      note_inodes (stage, stage->partners_fd, err) < 0 ||
      each_partner (stage, stage->partners_fd, &stage->layers.root, note_partner, err) < 0 ||
      find_taken (stage, err) < 0 ||
      put_dir (stage, stage->undo_fd, &stage->layers.root, stage->layers.upper_fd, err) < 0)
    return -err->code;
  return each_partner (stage, stage->partners_fd, &stage->layers.root, join_partner, err);
}

int undo_stage (int guest_fd, int entry_fd, const struct rules *rules, struct u64table *ret_as_is,
                struct err *err)
{
  autostage struct stage stage = {
      .layers = {LOWER_NONE, -1, -1, -1},
      .undo_fd = -1,
      .partners_fd = -1,
      .rules = rules,
      .as_is = ret_as_is,
      .path = STRBUF_INIT (PATH_LENGTH_MAX),
  };

  if (undo_layers_open (guest_fd, &stage.layers, err) < 0)
    return -err->code;
  stage.copies.fd = stage.layers.links_fd;
  stage.undo_fd = fd_open_dir_beneath (entry_fd, "undo/layer");
  stage.partners_fd = fd_open_dir_beneath (entry_fd, "undo/partners");
  if (stage.undo_fd < 0 || stage.partners_fd < 0)
    return err_errno (err, "open the undo layer");
  if (put_all (&stage, err) < 0 || undo_layers_finish (&stage.layers, err) < 0)
    return err_wrap (err, "the undo layer");
  return 0;
}
