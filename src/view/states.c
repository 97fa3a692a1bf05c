/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "states.h"
#include "since.h"
#include "util/fd.h"
#include "util/strbuf.h"

enum { PATH_LENGTH_MAX = 16 << 20 };

/* A walk; without visit it only asks for the inodes. */
struct walk {
  const struct states *states; /* borrowed */
  struct view_holders *wanted; /* borrowed, or NULL */
  int (*visit) (void *data, const struct view_state *state, struct err *err);
  void *data;
  struct strbuf path; /* owned */
};

void states_release (struct states *states)
{
  view_dir_close (&states->top);
  view_holders_release (&states->holders);
}

/* The inode that has the file's contents; 0 when it is none of the shared layers. */
static int find_inode (const struct walk *walk, const struct view_dir *dir,
                       const struct view_entry *entry, uint64_t *ret_ino, struct err *err)
{
  autoviewdata struct view_data data = {VIEW_PRIVATE, -1, NULL, VIEW_DIR_NONE};
  struct stat st;

  *ret_ino = entry->layer == VIEW_PRIVATE ? 0 : entry->ino;
  if (!entry->form.metacopy)
    return 0;
  if (view_find_data (&walk->states->top, dir, entry, &data, err) < 0)
    return -err->code;
  if (fstatat (data.dir_fd, data.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", data.name);
  *ret_ino = st.st_ino;
  return 0;
}

static int take_file (struct walk *walk, const struct view_dir *dir, const struct since *since,
                      const struct view_entry *entry, struct err *err)
{
  struct view_state state = {.path = strbuf_str (&walk->path), .layer = entry->layer};
  uint64_t ino = 0;

  if (find_inode (walk, dir, entry, &ino, err) < 0)
    return -err->code;
  if (!walk->visit) {
    if (ino)
      view_holders_want (walk->wanted, ino);
    return 0;
  }
  if (fstatat (entry->dir_fd, entry->name, &state.st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", state.path);
  bool is_entry = ino && entries_map_contents (&walk->states->holders.map, ino) != ino;
  const struct view_holder *holder = ino ? view_holders_find (&walk->states->holders, ino) : NULL;
  state.sharing = !ino                                       ? STATE_PRIVATE
                  : entry->layer == VIEW_PRIVATE || is_entry ? STATE_CONTENTS
                                                             : STATE_SHARED;
  state.guests = holder ? holder->guests : 0;
  state.templates = holder ? holder->templates : 0;
  state.since = since_of (since, entry->name);
  return walk->visit (walk->data, &state, err);
}

static int walk_dir (struct walk *walk, const struct view_dir *dir, const struct since *since,
                     struct err *err);

static int walk_entry (struct walk *walk, const struct view_dir *dir, const struct since *since,
                       const struct view_entry *entry, struct err *err)
{
  autoviewdir struct view_dir child = VIEW_DIR_NONE;
  autosince struct since below = {0};
  int ret;

  if (entry->type != DT_DIR)
    return take_file (walk, dir, since, entry, err);
  ret = view_child (&walk->states->top, dir, entry, &child, err);
  if (ret == 0)
    ret = since_child (since, entry->name, &below, err);
  return ret < 0 ? ret : walk_dir (walk, &child, &below, err);
}

static int walk_dir (struct walk *walk, const struct view_dir *dir, const struct since *since,
                     struct err *err)
{
  autoviewlist struct view_list list = {0};
  int ret = 0;

  if (view_read (dir, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; ret == 0 && i < list.count; i++) {
    size_t len = strbuf_push_below (&walk->path, list.items[i].name);

    ret = walk_entry (walk, dir, since, &list.items[i], err);
    strbuf_truncate (&walk->path, len);
    if (ret == -ENOENT) {
      err_release (err); /* it went away */
      ret = 0;
    }
  }
  return ret;
}

/* The undo layers at the directory of @path; the last name of it goes to @ret_name, which is the
 * caller's. "." and empty names are no steps. The path so far is put into the walk. */
static int since_above (struct walk *walk, const char *path, struct since *ret_since,
                        char **ret_name, struct err *err)
{
  autosince struct since since = {0};
  autofree char *last = NULL;

  if (since_open (walk->states->guest, &since, err) < 0)
    return -err->code;
  while (*path) {
    size_t len = strcspn (path, "/");

    if (len && !(len == 1 && *path == '.')) {
      if (last) {
        autosince struct since child = {0};

        if (since_child (&since, last, &child, err) < 0)
          return -err->code;
        since_release (&since);
        since = child;
        child = (struct since){0};
      }
      free (last);
      last = xstrndup (path, len);
      strbuf_push_below (&walk->path, last);
    }
    path += len;
    path += *path == '/';
  }
  *ret_since = since;
  since = (struct since){0};
  *ret_name = steal_ptr (&last);
  return 0;
}

static int walk_path (struct walk *walk, const char *path, bool *ret_is_dir, struct err *err)
{
  autoviewplace struct view_place place = {.dir = VIEW_DIR_NONE};
  autosince struct since since = {0};
  autofree char *name = NULL;

  if (view_lookup (&walk->states->top, path, &place, err) < 0 ||
      since_above (walk, path, &since, &name, err) < 0)
    return -err->code;
  *ret_is_dir = !place.entry || place.entry->type == DT_DIR;
  return place.entry ? walk_entry (walk, &place.dir, &since, place.entry, err)
                     : walk_dir (walk, &place.dir, &since, err);
}

int states_open (struct vroot *root, struct guest *guest, char *const *paths, size_t count,
                 bool *ret_is_dir, struct states *ret_states, struct err *err)
{
  autostates struct states states = {.root = root, .guest = guest, .top = VIEW_DIR_NONE};

  if (view_holders_start (root, &states.holders, err) < 0)
    return -err->code;
  if (view_open (guest->fd, &states.top, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  for (size_t i = 0; i < count; i++) {
    struct walk walk = {
        .states = &states, .wanted = &states.holders, .path = STRBUF_INIT (PATH_LENGTH_MAX)};
    int ret = walk_path (&walk, paths[i], &ret_is_dir[i], err);

    strbuf_release (&walk.path);
    if (ret < 0)
      return err_wrap (err, "guest %s", guest->name);
  }
  if (view_holders_count (root, guest->name, &states.holders, err) < 0)
    return -err->code;
  *ret_states = states;
  states = (struct states){.top = VIEW_DIR_NONE};
  return 0;
}

int states_each (const struct states *states, const char *path,
                 int (*visit) (void *data, const struct view_state *state, struct err *err),
                 void *data, struct err *err)
{
  struct walk walk = {
      .states = states, .visit = visit, .data = data, .path = STRBUF_INIT (PATH_LENGTH_MAX)};
  bool is_dir = false;
  int ret = walk_path (&walk, path, &is_dir, err);

  strbuf_release (&walk.path);
  return ret < 0 ? err_wrap (err, "guest %s", states->guest->name) : 0;
}
