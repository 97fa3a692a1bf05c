/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usage.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/metaentry.h"

struct usage_inode {
  uint64_t bytes; /* on the disk, by blocks */
  uint64_t size;
  uint64_t links;
  bool regular;
  bool in_store;
  bool counted;    /* in union_bytes */
  size_t contents; /* of an entry: the index of the inode that has its contents, + 1; or 0 */
  /* Of the scan that goes on: */
  uint64_t names;
  bool touched;
  bool of_base; /* with a name in the base of a thin guest */
  bool seen;    /* apparent size counted */
};

void usage_map_release (struct usage_map *map)
{
  u64table_release (&map->index);
  free (map->inodes);
  *map = (struct usage_map){0};
}

static struct usage_inode *add_inode (struct usage_map *map, const struct stat *st)
{
  bool is_new = false;
  uint64_t *place = u64table_put (&map->index, st->st_ino, &is_new);

  if (is_new) {
    if ((map->count & (map->count - 1)) == 0)
      map->inodes =
          xreallocarray (map->inodes, map->count ? map->count * 2 : 1, sizeof *map->inodes);
    *place = map->count++;
    map->inodes[*place] = (struct usage_inode){0};
  }
  struct usage_inode *inode = &map->inodes[*place];
  inode->bytes = (uint64_t) st->st_blocks * 512;
  inode->size = (uint64_t) st->st_size;
  inode->links = st->st_nlink;
  inode->regular = S_ISREG (st->st_mode);
  return inode;
}

/* The inode @at may be an entry. What its contents are in is an object as well. */
static int note_contents (struct usage_map *map, size_t at, int fan_fd, const char *name,
                          struct err *err)
{
  autoclose int fd = fd_open (fan_fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  autoclose int data = -1;
  struct stat st;

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open the object %s", name);
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat the object %s", name);
  int is_entry = metaentry_contents (fd, &st, &data);
  /* One without contents is for fsck to tell. */
  if (is_entry <= 0)
    return is_entry < 0 && errno != EUCLEAN ? err_errno (err, "look into the object %s", name) : 0;
  if (fstat (data, &st) < 0)
    return err_errno (err, "stat the contents of the object %s", name);
  map->inodes[at].contents = (size_t) (add_inode (map, &st) - map->inodes) + 1;
  return 0;
}

static int visit_object (void *data, int fan_fd, const char *name, uint64_t ino, struct err *err)
{
  struct usage_map *map = data;
  struct stat st;

  (void) ino;
  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object %s", name);
  if (S_ISDIR (st.st_mode))
    return 0;
  struct usage_inode *inode = add_inode (map, &st);
  inode->in_store = true;
  map->store_objects++;
  map->store_bytes += inode->bytes;
  return inode->regular && inode->bytes < inode->size
             ? note_contents (map, (size_t) (inode - map->inodes), fan_fd, name, err)
             : 0;
}

int usage_map_load (struct vroot *root, struct usage_map *ret_map, struct err *err)
{
  autousagemap struct usage_map map = {0};

  if (store_each (root->store, visit_object, &map, err) < 0)
    return -err->code;
  *ret_map = map;
  map = (struct usage_map){0};
  return 0;
}

/* One scan. */
struct scan {
  struct usage_map *map;
  struct usage usage;
  uint64_t *touched; /* owned: indices of the inodes that are touched */
  size_t touched_count;
};

/* The layer that a name is in. */
enum layer { OF_BASE, OF_TREE, OF_PRIVATE };

static void note_touched (struct scan *scan, size_t at)
{
  if (scan->map->inodes[at].touched)
    return;
  if ((scan->touched_count & (scan->touched_count - 1)) == 0)
    scan->touched = xreallocarray (scan->touched, scan->touched_count ? scan->touched_count * 2 : 1,
                                   sizeof *scan->touched);
  scan->touched[scan->touched_count++] = at;
  scan->map->inodes[at].touched = true;
}

static void touch (struct scan *scan, size_t at, enum layer layer, bool visible)
{
  struct usage_inode *inode = &scan->map->inodes[at];

  inode->names += layer != OF_BASE;
  inode->of_base |= layer == OF_BASE;
  note_touched (scan, at);
  /* By its other links it is shared, whoever has a name of it. */
  if (inode->contents)
    note_touched (scan, inode->contents - 1);
  if (!visible)
    return;
  scan->usage.files++;
  /* Each name for itself: a write separates it from its hard-link partners. */
  if (layer != OF_PRIVATE) {
    scan->usage.worst_bytes +=
        inode->contents ? scan->map->inodes[inode->contents - 1].bytes : inode->bytes;
    scan->usage.worst_files++;
  }
  if (inode->regular && !inode->seen)
    scan->usage.apparent_bytes += inode->size;
  inode->seen |= inode->regular;
}

/* Directories have one name and are nobody else's. */
static int count_directory (struct scan *scan, int fd, struct err *err)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a directory of a guest");
  uint64_t bytes = (uint64_t) st.st_blocks * 512;
  scan->usage.own_bytes += bytes;
  scan->map->guests_bytes += bytes;
  scan->map->union_bytes += bytes;
  return 0;
}

static int count_file (struct scan *scan, int dir_fd, const struct dirread_entry *entry,
                       enum layer layer, bool visible, struct err *err)
{
  const uint64_t *known = u64table_get (&scan->map->index, entry->ino);
  struct stat st;

  if (known && entry->type != DT_CHR) {
    touch (scan, *known, layer, visible);
    return 0;
  }
  if (fstatat (dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", entry->name);
  if (!S_ISDIR (st.st_mode))
    touch (scan, (size_t) (add_inode (scan->map, &st) - scan->map->inodes), layer,
           visible && !layer_is_whiteout (&st));
  return 0;
}

/* Opens a subdirectory into @ret_fd; -1 when it went away. */
static int open_below (int dir_fd, const char *name, int *ret_fd, struct err *err)
{
  *ret_fd = fd_open (dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOATIME, 0);
  if (*ret_fd >= 0)
    return 0;
  if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
    return err_errno (err, "open the directory %s", name);
  return 0;
}

static int scan_pair (struct scan *scan, int tree_fd, int private_fd, bool visible,
                      struct err *err);

static int scan_tree_entry (struct scan *scan, int tree_fd, int private_fd,
                            const struct dirread_entry *entry, const struct dirread_entry *over,
                            bool visible, struct err *err)
{
  autoclose int child = -1, over_child = -1;

  if (entry->type != DT_DIR)
    return count_file (scan, tree_fd, entry, OF_TREE, visible && !over, err);
  if (open_below (tree_fd, entry->name, &child, err) < 0)
    return -err->code;
  if (over && over->type == DT_DIR && open_below (private_fd, entry->name, &over_child, err) < 0)
    return -err->code;
  return scan_pair (scan, child, over_child, visible && (!over || over_child >= 0), err);
}

static int scan_private_entry (struct scan *scan, int private_fd, const struct dirread_entry *entry,
                               const struct dirlist *tree, bool visible, struct err *err)
{
  autoclose int child = -1;

  if (entry->type != DT_DIR)
    return count_file (scan, private_fd, entry, OF_PRIVATE, visible, err);
  const struct dirread_entry *under = dirlist_find (tree, entry->name);
  if (under && under->type == DT_DIR)
    return 0; /* went with the tree's */
  if (open_below (private_fd, entry->name, &child, err) < 0)
    return -err->code;
  return scan_pair (scan, -1, child, visible, err);
}

/* The same directory of both layers, side by side, so that it is known which files of the tree are
 * hidden; one of the two may be -1. */
static int scan_pair (struct scan *scan, int tree_fd, int private_fd, bool visible, struct err *err)
{
  autodirlist struct dirlist tree = {0}, private = {0};

  if (tree_fd >= 0 &&
      (count_directory (scan, tree_fd, err) < 0 || dirread_all (tree_fd, &tree, err) < 0))
    return -err->code;
  if (private_fd >= 0 &&
      (count_directory (scan, private_fd, err) < 0 || dirread_all (private_fd, &private, err) < 0))
    return -err->code;
  for (size_t i = 0; i < tree.count; i++)
    if (scan_tree_entry (scan, tree_fd, private_fd, &tree.items[i],
                         dirlist_find (&private, tree.items[i].name), visible, err) < 0)
      return -err->code;
  for (size_t i = 0; i < private.count; i++)
    if (scan_private_entry (scan, private_fd, &private.items[i], &tree, visible, err) < 0)
      return -err->code;
  return 0;
}

/* What a thin guest shows of its base. */
static int scan_base (struct scan *scan, const struct lower *lower, struct err *err)
{
  autolowerlists struct lower_lists lists = {0};

  if (lower_read (lower, &lists, err) < 0)
    return -err->code;
  const struct dirlist *const layers[] = {&lists.base, &lists.tree, &lists.priv};
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
    for (size_t k = 0; k < layers[i]->count; k++) {
      const struct dirread_entry *entry = &layers[i]->items[k];
      autolower struct lower child = LOWER_NONE;

      if (entry->type != DT_DIR) {
        if (i == 0 && count_file (scan, lower->base, entry, OF_BASE,
                                  /* visible= */ true, err) < 0)
          return -err->code;
        continue;
      }
      if (lower_child (lower, entry->name, &child, err) < 0) {
        if (err->code != ENOENT)
          return -err->code;
        err_release (err); /* it went away */
      } else if (child.base >= 0 && scan_base (scan, &child, err) < 0) {
        return -err->code;
      }
    }
  return 0;
}

/* That of a guest which is on its way out is not to be found, and none of it is the guest's own. */
static int scan_base_of (struct scan *scan, int guest_fd, int tree_fd, int private_fd,
                         struct err *err)
{
  autoclose int base_fd = -1;
  int ret = tree_fd < 0 ? 0 : lower_open_base (guest_fd, tree_fd, &base_fd, err);

  if (ret == -EUCLEAN)
    err_release (err);
  if (ret < 0 || base_fd < 0)
    return ret == -EUCLEAN ? 0 : ret;
  const struct lower lower = {.priv = private_fd, .tree = tree_fd, .base = base_fd};
  return scan_base (scan, &lower, err);
}

/* The layers, and all else that lies in guests/NAME. */
static int scan_guest (struct scan *scan, int guest_fd, struct err *err)
{
  autoclose int tree_fd = -1, private_fd = -1;
  autodirlist struct dirlist list = {0};

  if (open_below (guest_fd, "tree", &tree_fd, err) < 0 ||
      open_below (guest_fd, "private", &private_fd, err) < 0 ||
      scan_pair (scan, tree_fd, private_fd, /* visible= */ true, err) < 0 ||
      scan_base_of (scan, guest_fd, tree_fd, private_fd, err) < 0 ||
      count_directory (scan, guest_fd, err) < 0 || dirread_all (guest_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];
    static const struct dirlist nothing;

    if (strcmp (entry->name, "tree") != 0 && strcmp (entry->name, "private") != 0 &&
        scan_private_entry (scan, guest_fd, entry, &nothing, /* visible= */ false, err) < 0)
      return -err->code;
  }
  return 0;
}

/* Decides which of the inodes are shared, and makes the map ready for the next scan. */
static void finish_scan (struct scan *scan)
{
  struct usage_map *map = scan->map;

  for (size_t i = 0; i < scan->touched_count; i++) {
    struct usage_inode *inode = &map->inodes[scan->touched[i]];

    if (inode->of_base || inode->links > inode->names + inode->in_store) {
      scan->usage.shared_bytes += inode->bytes;
    } else {
      scan->usage.own_bytes += inode->bytes;
      if (inode->in_store) {
        scan->usage.store_own_bytes += inode->bytes;
        scan->usage.store_own_objects++;
      }
    }
    map->guests_bytes += inode->bytes;
    if (!inode->counted)
      map->union_bytes += inode->bytes;
    inode->counted = true;
    inode->names = 0;
    inode->touched = false;
    inode->of_base = false;
    inode->seen = false;
  }
}

int usage_scan (struct usage_map *map, const int *fds, size_t count, struct usage *ret_usage,
                struct err *err)
{
  struct scan scan = {.map = map};
  int ret = 0;

  for (size_t i = 0; ret == 0 && i < count; i++)
    ret = scan_guest (&scan, fds[i], err);
  finish_scan (&scan);
  free (scan.touched);
  if (ret < 0)
    return ret;
  *ret_usage = scan.usage;
  return 0;
}
