/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "since.h"
#include "guest/history.h"
#include "tree/layer.h"
#include "util/fd.h"
#include <inttypes.h>

void since_release (struct since *since)
{
  for (size_t i = 0; i < since->count; i++)
    cleanup_close (&since->layers[i].fd);
  free (since->layers);
  *since = (struct since){0};
}

int since_open (struct guest *guest, struct since *ret_since, struct err *err)
{
  autohistory struct history history = {0};
  autosince struct since since = {0};
  autoclose int fd = -1;

  if (history_read (guest, &history, err) < 0)
    return -err->code;
  since.layers = xcalloc (history.count ? history.count : 1, sizeof *since.layers);
  fd = fd_open_dir (guest->fd, "history");
  for (size_t i = history.count; fd >= 0 && i-- > 0;) {
    const struct history_entry *entry = &history.items[i];
    autofree char *path = xasprintf ("%" PRIu64 "/undo/layer", entry->id);

    if (!entry->has_undo || entry->rolled_back_by)
      continue;
    int layer = fd_open_dir_beneath (fd, path);
    if (layer < 0 && errno != ENOENT)
      return err_errno (err, "open history/%s", path);
    if (layer >= 0)
      since.layers[since.count++] = (struct since_layer){entry->id, layer};
  }
  *ret_since = since;
  since = (struct since){0};
  return 0;
}

/* What was a directory before, and is one now, was changed only when the layer hides what is below
 * it: then it was another one. */
static bool is_other (int fd, const char *name)
{
  autoerr struct err err = {0};
  struct stat st;

  if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return false;
  if (!S_ISDIR (st.st_mode))
    return true;
  autoclose int dir_fd = fd_open_dir (fd, name);
  return dir_fd >= 0 && layer_is_opaque (dir_fd, &err) > 0;
}

uint64_t since_of (const struct since *since, const char *name)
{
  for (size_t i = 0; i < since->count; i++)
    if (since->layers[i].fd >= 0 && since->layers[i].id > since->all &&
        is_other (since->layers[i].fd, name))
      return since->layers[i].id;
  return since->all;
}

int since_child (const struct since *since, const char *name, struct since *ret_child,
                 struct err *err)
{
  autosince struct since child = {.all = since_of (since, name)};

  child.layers = xcalloc (since->count ? since->count : 1, sizeof *child.layers);
  for (size_t i = 0; i < since->count; i++) {
    const struct since_layer *layer = &since->layers[i];

    if (layer->fd < 0 || layer->id <= child.all)
      continue;
    int fd = fd_open_dir (layer->fd, name);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      return err_errno (err, "open the directory %s of an undo layer", name);
    if (fd >= 0)
      child.layers[child.count++] = (struct since_layer){layer->id, fd};
  }
  *ret_child = child;
  child = (struct since){0};
  return 0;
}
