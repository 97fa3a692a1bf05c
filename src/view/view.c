/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view.h"
#include "util/fd.h"

void view_dir_close (struct view_dir *dir)
{
  cleanup_close (&dir->priv);
  lower_close (&dir->lower);
  *dir = VIEW_DIR_NONE;
}

void view_list_release (struct view_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    layer_entry_release (&list->items[i].form);
  free (list->items);
  dirlist_release (&list->priv);
  lower_lists_release (&list->lists);
  *list = (struct view_list){0};
}

void view_data_release (struct view_data *data)
{
  free (data->name);
  data->name = NULL;
  view_dir_close (&data->at);
}

void view_place_release (struct view_place *place)
{
  view_list_release (&place->list);
  view_dir_close (&place->dir);
}

int view_dir_fd (const struct view_dir *dir)
{
  return dir->priv >= 0 ? dir->priv : lower_top (&dir->lower);
}

const char *view_layer_name (enum view_layer layer)
{
  static const char *const names[] = {"private", "tree", "template"};

  return names[layer];
}

int view_open (int guest_fd, struct view_dir *ret_top, struct err *err)
{
  autoviewdir struct view_dir top = VIEW_DIR_NONE;
  autolayerentry struct layer_entry form = {0};

  if (lower_open (guest_fd, /* with_private= */ false, &top.lower, err) < 0 ||
      layer_read (guest_fd, "private", /* x_whiteouts= */ false, &form, err) < 0)
    return -err->code;
  top.x_whiteouts = form.x_whiteouts;
  top.priv = fd_open_dir (guest_fd, "private");
  if (top.priv < 0)
    return err_errno (err, "open private");
  *ret_top = top;
  top = VIEW_DIR_NONE;
  return 0;
}

int view_open_tree (int tree_fd, struct view_dir *ret_top, struct err *err)
{
  *ret_top = VIEW_DIR_NONE;
  ret_top->lower.tree = fcntl (tree_fd, F_DUPFD_CLOEXEC, 3);
  return ret_top->lower.tree < 0 ? err_errno (err, "duplicate a descriptor") : 0;
}

static struct view_entry *add_entry (struct view_list *list, const struct dirread_entry *from,
                                     enum view_layer layer, int dir_fd)
{
  struct view_entry *entry = &list->items[list->count++];

  *entry = (struct view_entry){
      .name = from->name, .layer = layer, .dir_fd = dir_fd, .type = from->type, .ino = from->ino};
  return entry;
}

/* Those of private first: whiteouts are taken out later, as they hide names. */
static int add_private (const struct view_dir *dir, struct view_list *list, struct err *err)
{
  for (size_t i = 0; i < list->priv.count; i++) {
    struct view_entry *entry = add_entry (list, &list->priv.items[i], VIEW_PRIVATE, dir->priv);

    if (layer_read (dir->priv, entry->name, dir->x_whiteouts, &entry->form, err) == 0)
      continue;
    if (err->code != ENOENT)
      return err_wrap (err, "private");
    err_release (err); /* it went away: the name shows nothing at this moment */
    entry->form.whiteout = true;
  }
  return 0;
}

static void add_lower (struct view_list *list, const struct dirlist *from, enum view_layer layer,
                       int dir_fd)
{
  for (size_t i = 0; i < from->count; i++)
    if (!dirlist_find (&list->priv, from->items[i].name))
      add_entry (list, &from->items[i], layer, dir_fd);
}

static int by_name (const void *a, const void *b)
{
  const struct view_entry *x = a, *y = b;

  return strcmp (x->name, y->name);
}

int view_read (const struct view_dir *dir, struct view_list *ret_list, struct err *err)
{
  autoviewlist struct view_list list = {0};

  if ((dir->priv >= 0 && dirread_all (dir->priv, &list.priv, err) < 0) ||
      lower_read (&dir->lower, &list.lists, err) < 0)
    return -err->code;
  size_t most = list.priv.count + list.lists.tree.count + list.lists.base.count;
  list.items = xcalloc (most ? most : 1, sizeof *list.items);
  if (add_private (dir, &list, err) < 0)
    return -err->code;
  add_lower (&list, &list.lists.tree, VIEW_TREE, dir->lower.tree);
  add_lower (&list, &list.lists.base, VIEW_BASE, dir->lower.base);
  size_t count = 0;
  for (size_t i = 0; i < list.count; i++) {
    if (list.items[i].form.whiteout)
      layer_entry_release (&list.items[i].form);
    else
      list.items[count++] = list.items[i];
  }
  list.count = count;
  qsort (list.items, list.count, sizeof *list.items, by_name);
  *ret_list = list;
  list = (struct view_list){0};
  return 0;
}

const struct view_entry *view_find (const struct view_list *list, const char *name)
{
  const struct view_entry key = {.name = name};

  if (!list->count)
    return NULL;
  return bsearch (&key, list->items, list->count, sizeof *list->items, by_name);
}

/* What merges below the directory @entry of private. */
static int find_lower (const struct view_dir *top, const struct view_dir *dir,
                       const struct view_entry *entry, struct lower *ret_lower, struct err *err)
{
  const char *redirect = entry->form.redirect;

  if (entry->form.opaque)
    return 0;
  if (redirect && redirect[0] == '/')
    return lower_lookup (&top->lower, redirect, ret_lower, err);
  return lower_child (&dir->lower, redirect ? redirect : entry->name, ret_lower, err);
}

int view_child (const struct view_dir *top, const struct view_dir *dir,
                const struct view_entry *entry, struct view_dir *ret_child, struct err *err)
{
  autoviewdir struct view_dir child = VIEW_DIR_NONE;

  if (entry->layer != VIEW_PRIVATE) {
    if (lower_child (&dir->lower, entry->name, &child.lower, err) < 0)
      return -err->code;
    if (lower_top (&child.lower) < 0)
      return err_code (err, ENOENT, "the directory %s went away", entry->name);
  } else {
    child.priv = fd_open_dir (dir->priv, entry->name);
    if (child.priv < 0)
      return err_errno (err, "open the directory %s of private", entry->name);
    child.x_whiteouts = entry->form.x_whiteouts;
    if (find_lower (top, dir, entry, &child.lower, err) < 0)
      return -err->code;
  }
  *ret_child = child;
  child = VIEW_DIR_NONE;
  return 0;
}

static enum view_layer layer_of (const struct lower *lower, int fd)
{
  return fd == lower->tree ? VIEW_TREE : VIEW_BASE;
}

int view_find_data (const struct view_dir *top, const struct view_dir *dir,
                    const struct view_entry *entry, struct view_data *ret_data, struct err *err)
{
  autoviewdata struct view_data data = {entry->layer, entry->dir_fd, NULL, VIEW_DIR_NONE};
  const char *redirect = entry->form.redirect;
  const struct lower *lower = &dir->lower;
  const char *name = entry->name;

  if (entry->layer == VIEW_PRIVATE && entry->form.metacopy) {
    if (redirect && redirect[0] == '/') {
      const char *slash = strrchr (redirect, '/');
      autofree char *above = xstrndup (redirect, (size_t) (slash - redirect));

      if (lower_lookup (&top->lower, above, &data.at.lower, err) < 0)
        return -err->code;
      lower = &data.at.lower;
      name = slash + 1;
    } else if (redirect) {
      name = redirect;
    }
    data.dir_fd = lower_find_file (lower, name);
    if (data.dir_fd < 0)
      return err_code (err, EUCLEAN, "%s: its contents are in no layer below", entry->name);
    data.layer = layer_of (lower, data.dir_fd);
  }
  data.name = xstrdup (name);
  *ret_data = data;
  data = (struct view_data){VIEW_PRIVATE, -1, NULL, VIEW_DIR_NONE};
  return 0;
}

/* One step down into @name of @place->dir. */
static int step (const struct view_dir *top, struct view_place *place, const char *name,
                 const char *path, struct err *err)
{
  if (place->entry) {
    struct view_dir child = VIEW_DIR_NONE;

    if (place->entry->type != DT_DIR)
      return err_code (err, ENOTDIR, "%s: not a directory above it", path);
    if (view_child (top, &place->dir, place->entry, &child, err) < 0)
      return err_wrap (err, "%s", path);
    view_place_release (place);
    *place = (struct view_place){.dir = child};
  }
  if (view_read (&place->dir, &place->list, err) < 0)
    return err_wrap (err, "%s", path);
  place->entry = view_find (&place->list, name);
  return place->entry ? 0 : err_code (err, ENOENT, "%s: no such file in the guest", path);
}

static int duplicate (int from, int *ret_fd)
{
  *ret_fd = from < 0 ? -1 : fcntl (from, F_DUPFD_CLOEXEC, 3);
  return from >= 0 && *ret_fd < 0 ? -1 : 0;
}

int view_lookup (const struct view_dir *top, const char *path, struct view_place *ret_place,
                 struct err *err)
{
  autoviewplace struct view_place place = {.dir = VIEW_DIR_NONE};

  place.dir.x_whiteouts = top->x_whiteouts;
  if (duplicate (top->priv, &place.dir.priv) < 0 ||
      duplicate (top->lower.tree, &place.dir.lower.tree) < 0 ||
      duplicate (top->lower.base, &place.dir.lower.base) < 0)
    return err_errno (err, "duplicate a descriptor");
  for (const char *at = path; *at;) {
    size_t len = strcspn (at, "/");
    autofree char *name = xstrndup (at, len);

    if (strcmp (name, "..") == 0)
      return err_code (err, ERR_USAGE, "%s: a path without \"..\" is expected", path);
    if (len && strcmp (name, ".") != 0 && step (top, &place, name, path, err) < 0)
      return -err->code;
    at += len;
    at += *at == '/';
  }
  *ret_place = place;
  place = (struct view_place){.dir = VIEW_DIR_NONE};
  return 0;
}
