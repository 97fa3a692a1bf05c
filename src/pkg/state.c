/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"
#include "pkg/find.h"
#include "tree/layer.h"
#include "tree/lower.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <limits.h>

struct walk {
  struct store *store;       /* borrowed */
  struct pkg_states *states; /* borrowed */
  bool by_inode;             /* shared files below the path */
  struct hasher *hasher; /* owned; of the digest of all, while store->hasher does single files */
  const char *const *except; /* paths that are left out; may be NULL */
  struct strbuf path;        /* owned */
};

static void add_number (struct walk *walk, uint64_t number)
{
  hasher_add (walk->hasher, &number, sizeof number);
}

static void add_text (struct walk *walk, const char *text)
{
  add_number (walk, strlen (text));
  hasher_add (walk->hasher, text, strlen (text));
}

void pkg_states_release (struct pkg_states *states)
{
  u64table_release (&states->known);
  free (states->digests);
  *states = (struct pkg_states){0};
}

/* What the shared file @entry is, but for its times. */
static int identify_shared (struct walk *walk, int dir_fd, const struct dirread_entry *entry,
                            struct digest *ret_id, struct err *err)
{
  struct pkg_states *states = walk->states;
  uint64_t *index = u64table_get (&states->known, entry->ino);

  if (index) {
    *ret_id = states->digests[*index - 1];
    return 0;
  }
  if (identity_of (walk->store->hasher, dir_fd, entry->name, IDENTITY_ANY_MTIME, ret_id, NULL,
                   err) < 0)
    return err_wrap (err, "%s", entry->name);
  /* Doubling at the powers of two keeps adding linear. */
  if ((states->count & (states->count - 1)) == 0)
    states->digests = xreallocarray (states->digests, states->count ? states->count * 2 : 1,
                                     sizeof states->digests[0]);
  states->digests[states->count++] = *ret_id;
  *u64table_put (&states->known, entry->ino, NULL) = states->count;
  return 0;
}

static int is_whiteout (int dir_fd, const struct dirread_entry *entry, struct err *err)
{
  struct stat st;

  if (entry->type != DT_CHR)
    return 0;
  if (fstatat (dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", entry->name);
  return layer_is_whiteout (&st);
}

/* One entry that is no directory: the object's inode where it is one, else its identity. */
static int add_file (struct walk *walk, int dir_fd, const struct dirread_entry *entry,
                     struct err *err)
{
  int shared = store_has_inode (walk->store, entry->ino, err);
  struct digest id;

  if (shared < 0)
    return shared;
  if (shared && walk->by_inode) {
    add_number (walk, entry->ino);
    return 0;
  }
  if (entry->type == DT_SOCK)
    return 0;
  /* That it is one tells all. */
  int whiteout = is_whiteout (dir_fd, entry, err);
  if (whiteout)
    return whiteout < 0 ? whiteout : 0;
  if (shared && identify_shared (walk, dir_fd, entry, &id, err) < 0)
    return -err->code;
  if (!shared && identity_of (walk->store->hasher, dir_fd, entry->name, IDENTITY_ANY_MTIME, &id,
                              NULL, err) < 0)
    return err_wrap (err, "%s", entry->name);
  hasher_add (walk->hasher, id.bytes, sizeof id.bytes);
  return 0;
}

static bool is_left_out (const struct walk *walk)
{
  return walk->except && pkg_in_list (strbuf_str (&walk->path), walk->except);
}

static int add_entry (struct walk *walk, int fd, const struct dirread_entry *entry,
                      struct err *err);

static int add_directory (struct walk *walk, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  add_number (walk, list.count);
  for (size_t i = 0; i < list.count; i++) {
    size_t before = strbuf_push_name (&walk->path, list.items[i].name);
    int ret = is_left_out (walk) ? 0 : add_entry (walk, fd, &list.items[i], err);

    strbuf_truncate (&walk->path, before);
    if (ret < 0)
      return ret;
  }
  return 0;
}

static int add_entry (struct walk *walk, int fd, const struct dirread_entry *entry, struct err *err)
{
  add_text (walk, entry->name);
  add_number (walk, entry->type);
  if (entry->type != DT_DIR)
    return add_file (walk, fd, entry, err);
  autoclose int child = fd_open_dir (fd, entry->name);
  if (child < 0)
    return err_errno (err, "open the directory %s", entry->name);
  return add_directory (walk, child, err) < 0 ? err_wrap (err, "%s", entry->name) : 0;
}

/* The path in one layer. What is missing there counts as that. */
static int add_path (struct walk *walk, int layer_fd, const char *path, struct err *err)
{
  const char *slash = strrchr (path, '/');
  autofree char *parent = slash ? xstrndup (path, (size_t) (slash - path)) : xstrdup ("");
  autoclose int parent_fd = fd_open_dir_beneath (layer_fd, parent);
  struct dirread_entry entry = {.name = slash ? slash + 1 : path};
  struct stat st;

  strbuf_truncate (&walk->path, 0);
  strbuf_adds (&walk->path, path);
  if (is_left_out (walk))
    return 0;
  add_text (walk, path);
  if (parent_fd < 0 || fstatat (parent_fd, entry.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    /* A symlink on the way, as /var/lib -> …, is another place: it is not followed. */
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EXDEV)
      return err_errno (err, "look for %s", path);
    add_number (walk, 0);
    return 0;
  }
  entry.ino = st.st_ino;
  entry.type = (unsigned char) IFTODT (st.st_mode);
  add_number (walk, 1 + (uint64_t) entry.type);
  if (entry.type != DT_DIR)
    return add_file (walk, parent_fd, &entry, err);
  autoclose int fd = fd_open_dir (parent_fd, entry.name);
  if (fd < 0)
    return err_errno (err, "open the directory %s", path);
  return add_directory (walk, fd, err) < 0 ? err_wrap (err, "%s", path) : 0;
}

/* Below these everything comes out of packages: what is equal is one inode. */
static bool is_of_packages (const char *path)
{
  static const char *const tops[] = {"usr", "bin", "sbin", "lib", NULL};

  for (const char *const *top = tops; *top; top++)
    if (strncmp (path, *top, strlen (*top)) == 0)
      return true;
  return false;
}

static int add_packages (struct walk *walk, struct guest *guest, const struct pkg_driver *driver,
                         struct err *err)
{
  autopkglayers struct pkg_layers layers = {0};
  autopkgpackages struct pkg_packages packages = {0};

  if (pkg_layers_open (guest, &layers, err) < 0 ||
      driver->read_installed (layers.fds, layers.count, &packages, err) < 0)
    return -err->code;
  add_number (walk, packages.count);
  for (size_t i = 0; i < packages.count; i++) {
    add_text (walk, packages.items[i].key);
    add_text (walk, packages.items[i].version);
    add_text (walk, packages.items[i].state ? packages.items[i].state : "");
  }
  return 0;
}

static int add_layers (struct walk *walk, struct guest *guest, const char *const *paths,
                       struct err *err)
{
  autolower struct lower layers = LOWER_NONE;

  if (lower_open (guest->fd, /* with_private= */ true, &layers, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  const int fds[] = {layers.priv, layers.tree, layers.base};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0] && fds[i] >= 0; i++)
    for (const char *const *path = paths; *path; path++) {
      walk->by_inode = is_of_packages (*path);
      if (add_path (walk, fds[i], *path, err) < 0)
        return err_wrap (err, "guest %s", guest->name);
    }
  return 0;
}

/* What decides about packages, beside what decides about metadata. */
static int add_database (struct walk *walk, struct guest *guest, const struct pkg_driver *driver,
                         struct err *err)
{
  walk->except = NULL;
  if (driver->database_paths && add_layers (walk, guest, driver->database_paths, err) < 0)
    return -err->code;
  if (driver->state_packages && add_packages (walk, guest, driver, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return 0;
}

int pkg_state_read (struct vroot *root, struct pkg_states *states, struct guest *guest,
                    const struct pkg_driver *driver, struct pkg_state *ret_state, struct err *err)
{
  autohasher struct hasher *hasher = hasher_new ();
  struct walk walk = {
      .store = root->store,
      .states = states,
      .hasher = hasher,
      .except = driver->database_paths,
      .path = STRBUF_INIT (1 << 20),
  };

  hasher_start (hasher);
  int ret = driver->share_lists ? add_layers (&walk, guest, driver->source_paths, err) : 0;
  hasher_end (hasher, &ret_state->sources);
  hasher_start (hasher);
  if (ret == 0)
    ret = add_layers (&walk, guest, driver->state_paths, err);
  hasher_end (hasher, &ret_state->fetches);
  hasher_start (hasher);
  hasher_add (hasher, ret_state->fetches.bytes, sizeof ret_state->fetches.bytes);
  if (ret == 0)
    ret = add_database (&walk, guest, driver, err);
  hasher_end (hasher, &ret_state->all);
  strbuf_release (&walk.path);
  return ret;
}
