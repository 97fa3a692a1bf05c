/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "partners.h"
#include "layer.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/strbuf.h"

enum { PATH_LENGTH_MAX = 1 << 26 };

/* The same directory in all layers. */
struct place {
  int layer;               /* owned, but at the top */
  int over[PARTNERS_OVER]; /* owned, but at the top; -1: it is not there */
  int beside;
};

static void place_release (struct place *place)
{
  cleanup_close (&place->layer);
  for (size_t i = 0; i < PARTNERS_OVER; i++)
    cleanup_close (&place->over[i]);
  cleanup_close (&place->beside);
}
#define autoplace __attribute__ ((cleanup (place_release)))

static bool has (int dir_fd, const char *name)
{
  return dir_fd >= 0 && faccessat (dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Has a layer over it the name, which is none of a directory? */
static bool hides (const struct place *place, const char *name)
{
  for (size_t i = 0; i < PARTNERS_OVER; i++)
    if (has (place->over[i], name))
      return true;
  return false;
}

/* Does the layer hide what is in this directory? Else its own directory is opened. */
static int look_over (int over_fd, const char *name, int *ret_fd, struct err *err)
{
  autolayerentry struct layer_entry entry = {0};

  *ret_fd = -1;
  if (!has (over_fd, name))
    return 0;
  if (layer_read (over_fd, name, /* x_whiteouts= */ false, &entry, err) < 0)
    return -err->code;
  if (!S_ISDIR (entry.st.st_mode) || entry.opaque || entry.redirect)
    return 1;
  *ret_fd = fd_open_dir (over_fd, name);
  return *ret_fd < 0 ? err_errno (err, "open the directory %s of an upper layer", name) : 0;
}

static int open_beside (int beside_fd, const char *name, int *ret_fd, struct err *err)
{
  *ret_fd = beside_fd < 0 ? -1 : fd_open_dir (beside_fd, name);
  if (beside_fd >= 0 && *ret_fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
    return err_errno (err, "open the directory %s", name);
  return 0;
}

static int walk_dir (const struct partners_walk *walk, const struct place *place,
                     struct strbuf *path, struct err *err);

static int walk_child (const struct partners_walk *walk, const struct place *place,
                       const char *name, struct strbuf *path, struct err *err)
{
  autoplace struct place child = {-1, {-1, -1, -1}, -1};

  for (size_t i = 0; i < PARTNERS_OVER; i++) {
    int hidden = look_over (place->over[i], name, &child.over[i], err);

    if (hidden)
      return hidden < 0 ? hidden : 0;
  }
  if (open_beside (place->beside, name, &child.beside, err) < 0)
    return -err->code;
  child.layer = fd_open_dir (place->layer, name);
  if (child.layer < 0)
    return err_errno (err, "open the directory %s", name);
  size_t before = strbuf_push_name (path, name);
  int ret = walk_dir (walk, &child, path, err);
  strbuf_truncate (path, before);
  return ret < 0 ? err_wrap (err, "%s", name) : 0;
}

static int walk_dir (const struct partners_walk *walk, const struct place *place,
                     struct strbuf *path, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (place->layer, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];

    if (entry->type == DT_DIR) {
      if (walk_child (walk, place, entry->name, path, err) < 0)
        return -err->code;
      continue;
    }
    if (!u64table_has (walk->inodes, entry->ino) || hides (place, entry->name))
      continue;
    struct partner partner = {
        .ino = entry->ino,
        .dir_fd = place->layer,
        .dir_path = strbuf_str (path),
        .name = entry->name,
        .known = has (place->beside, entry->name),
    };
    int ret = walk->visit (walk->data, &partner, err);
    if (ret < 0)
      return ret;
  }
  return 0;
}

int partners_each (const struct partners_walk *walk, struct err *err)
{
  struct place top = {.layer = walk->layer_fd, .beside = walk->beside_fd};
  autostrbuf struct strbuf path = STRBUF_INIT (PATH_LENGTH_MAX);

  memcpy (top.over, walk->over_fds, sizeof top.over);
  return walk->inodes->count ? walk_dir (walk, &top, &path, err) : 0;
}
