/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "holders.h"
#include "template/template.h"
#include "tree/lower.h"
#include "util/fd.h"

void view_holders_release (struct view_holders *holders)
{
  entries_map_release (&holders->map);
  u64table_release (&holders->index);
  free (holders->items);
  *holders = (struct view_holders){0};
}

int view_holders_start (struct vroot *root, struct view_holders *holders, struct err *err)
{
  return entries_map_load (root->store, &holders->map, err);
}

void view_holders_want (struct view_holders *holders, uint64_t ino)
{
  bool is_new = false;
  uint64_t *at = u64table_put (&holders->index, entries_map_contents (&holders->map, ino), &is_new);

  if (!is_new)
    return;
  if ((holders->count & (holders->count - 1)) == 0)
    holders->items = xreallocarray (holders->items, holders->count ? holders->count * 2 : 1,
                                    sizeof *holders->items);
  *at = holders->count;
  holders->items[holders->count++] = (struct view_holder){0};
}

const struct view_holder *view_holders_find (const struct view_holders *holders, uint64_t ino)
{
  const uint64_t *at = u64table_get (&holders->index, entries_map_contents (&holders->map, ino));

  return at ? &holders->items[*at] : NULL;
}

/* The holder of @ino that the place which is read has not been counted for yet; then it is. */
static struct view_holder *take (struct view_holders *holders, uint64_t ino)
{
  const uint64_t *at = u64table_get (&holders->index, entries_map_contents (&holders->map, ino));
  struct view_holder *holder = at ? &holders->items[*at] : NULL;

  if (!holder || holder->mark == holders->marks)
    return NULL;
  holder->mark = holders->marks;
  return holder;
}

static int count_dir (struct view_holders *holders, const struct lower *lower, bool template,
                      struct err *err);

static int count_below (struct view_holders *holders, const struct lower *lower, const char *name,
                        bool template, struct err *err)
{
  autolower struct lower child = LOWER_NONE;
  int ret = lower_child (lower, name, &child, err);

  if (ret == 0 && lower_top (&child) >= 0)
    return count_dir (holders, &child, template, err);
  if (ret == -ENOENT || ret == -ENOTDIR) {
    err_release (err); /* it went away */
    ret = 0;
  }
  return ret;
}

static int count_dir (struct view_holders *holders, const struct lower *lower, bool template,
                      struct err *err)
{
  autolowerlists struct lower_lists lists = {0};

  if (lower_read (lower, &lists, err) < 0)
    return -err->code;
  const struct dirlist *const layers[] = {&lists.tree, &lists.base};
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
    for (size_t k = 0; k < layers[i]->count; k++) {
      const struct dirread_entry *entry = &layers[i]->items[k];

      if (entry->type == DT_DIR) {
        if (count_below (holders, lower, entry->name, template, err) < 0)
          return -err->code;
        continue;
      }
      struct view_holder *holder = take (holders, entry->ino);
      if (holder && template)
        holder->templates++;
      else if (holder)
        holder->guests++;
    }
  return 0;
}

static int count_guests (struct vroot *root, const char *name, struct view_holders *holders,
                         struct err *err)
{
  autonames struct names names = {0};

  if (guest_list (root, &names, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names.count; i++) {
    autolower struct lower lower = LOWER_NONE;
    autoclose int fd = -1;

    if (strcmp (names.items[i], name) == 0)
      continue;
    fd = fd_open_dir (root->guests_fd, names.items[i]);
    if (fd < 0 && errno != ENOENT)
      return err_errno (err, "open guest %s", names.items[i]);
    if (fd < 0)
      continue;
    int ret = lower_open (fd, /* with_private= */ false, &lower, err);
    holders->marks++;
    if (ret == 0)
      ret = count_dir (holders, &lower, /* template= */ false, err);
    if (ret < 0 && ret != -ENOENT && ret != -EUCLEAN)
      return err_wrap (err, "guest %s", names.items[i]);
    err_release (err); /* deleted meanwhile, or it shows nothing of its base */
  }
  return 0;
}

static int count_generation (struct view_holders *holders, int name_fd, unsigned generation,
                             struct err *err)
{
  autofree char *path = xasprintf ("%u/tree", generation);
  autoclose int fd = fd_open_dir_beneath (name_fd, path);
  const struct lower lower = {.priv = -1, .tree = fd, .base = -1};

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open %s", path);
  holders->marks++;
  return count_dir (holders, &lower, /* template= */ true, err);
}

static int count_templates (struct vroot *root, struct view_holders *holders, struct err *err)
{
  autonames struct names names = {0}, deleted = {0};

  if (template_list (root, &names, &deleted, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names.count; i++) {
    autogenerations struct generations generations = {0};
    autoclose int fd = fd_open_dir (root->templates_fd, names.items[i]);

    if (fd < 0 && errno == ENOENT)
      continue;
    if (fd < 0)
      return err_errno (err, "open template %s", names.items[i]);
    if (template_generations (fd, &generations, err) < 0)
      return err_wrap (err, "template %s", names.items[i]);
    for (size_t k = 0; k < generations.count; k++)
      if (count_generation (holders, fd, generations.items[k], err) < 0)
        return err_wrap (err, "template %s@%u", names.items[i], generations.items[k]);
  }
  return 0;
}

int view_holders_count (struct vroot *root, const char *name, struct view_holders *holders,
                        struct err *err)
{
  if (!holders->count)
    return 0;
  if (count_guests (root, name, holders, err) < 0 || count_templates (root, holders, err) < 0)
    return -err->code;
  return 0;
}
