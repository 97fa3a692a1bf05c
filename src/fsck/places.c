/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/base.h"
#include "internal.h"
#include "template/template.h"
#include "util/dirread.h"
#include "util/fd.h"

static struct fsck_place *add_place (struct fsck *fsck, enum fsck_kind kind, const char *name)
{
  if ((fsck->place_count & (fsck->place_count - 1)) == 0)
    fsck->places = xreallocarray (fsck->places, fsck->place_count ? fsck->place_count * 2 : 1,
                                  sizeof *fsck->places);
  struct fsck_place *place = &fsck->places[fsck->place_count++];
  *place = (struct fsck_place){.kind = kind, .name = xstrdup (name), .state = "stopped"};
  return place;
}

static int find_generations (struct fsck *fsck, const char *name, struct err *err)
{
  autogenerations struct generations generations = {0};
  autofree char *where = xasprintf ("templates/%s", name);
  autoclose int fd = fd_open_dir (fsck->root->templates_fd, name);

  if (fd < 0 && errno == ENOENT)
    return 0;
  if (fd < 0 || template_generations (fd, &generations, err) < 0)
    return fd < 0 ? err_errno (err, "open %s", where) : err_wrap (err, "%s", where);
  if (!generations.count)
    fsck_add (fsck, FSCK_PART, true, where, "it has no generation");
  for (size_t i = 0; i < generations.count; i++) {
    struct fsck_place *place = add_place (fsck, FSCK_TEMPLATE, name);

    place->generation = generations.items[i];
    place->path = xasprintf ("%s/%u", where, place->generation);
  }
  return 0;
}

static int find_guests (struct fsck *fsck, enum fsck_kind kind, int dir_fd, const char *dir,
                        struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return err_wrap (err, "%s", dir);
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR)
      add_place (fsck, kind, list.items[i].name)->path =
          xasprintf ("%s/%s", dir, list.items[i].name);
  return 0;
}

/* What a thin guest lies over. */
static void find_base (struct fsck *fsck, struct fsck_place *place)
{
  autoguestbase struct guest_base base = {0};
  autoerr struct err err = {0};
  autoclose int fd = fsck_open_place (fsck, place, &err);

  if (fd < 0 || guest_base_read (fd, &base, &err) < 0) {
    if (err.code != ENOENT)
      fsck_add (fsck, FSCK_PART, true, place->path, "%s", err_text (&err));
    return;
  }
  if (!base.template)
    return;
  for (size_t i = 0; i < fsck->place_count; i++) {
    const struct fsck_place *there = &fsck->places[i];

    if (there->kind == FSCK_TEMPLATE && there->generation == base.generation &&
        strcmp (there->name, base.template) == 0) {
      place->thin = true;
      place->base = i;
      return;
    }
  }
  fsck_add (fsck, FSCK_PART, true, place->path,
            "the generation %s@%jd, which it lies over, is missing", base.template,
            (intmax_t) base.generation);
}

int fsck_find_places (struct fsck *fsck, struct err *err)
{
  autonames struct names templates = {0}, deleted = {0};

  /* Of deleted ones there is what thin guests lie over. */
  if (template_list (fsck->root, &templates, &deleted, err) < 0)
    return -err->code;
  for (size_t i = 0; i < deleted.count; i++)
    names_add (&templates, deleted.items[i]);
  for (size_t i = 0; i < templates.count; i++)
    if (find_generations (fsck, templates.items[i], err) < 0)
      return -err->code;
  if (find_guests (fsck, FSCK_GUEST, fsck->root->guests_fd, "guests", err) < 0 ||
      find_guests (fsck, FSCK_ASIDE, fsck->root->aside_fd, "aside", err) < 0)
    return -err->code;
  for (size_t i = 0; i < fsck->place_count; i++)
    if (fsck->places[i].kind != FSCK_TEMPLATE)
      find_base (fsck, &fsck->places[i]);
  return 0;
}

int fsck_open_place (struct fsck *fsck, const struct fsck_place *place, struct err *err)
{
  int fd = fd_open_dir_beneath (fsck->root->fd, place->path);

  return fd < 0 ? err_errno (err, "open %s", place->path) : fd;
}

char *fsck_place_name (const struct fsck_place *place)
{
  switch (place->kind) {
  case FSCK_TEMPLATE:
    return xasprintf ("template %s@%u", place->name, place->generation);
  case FSCK_GUEST:
    return xasprintf ("guest %s", place->name);
  default:
    return xstrdup (place->path);
  }
}

static int each_undo_layer (int history_fd, const char *entry,
                            int (*visit) (void *data, const char *layer, int fd, struct err *err),
                            void *data, struct err *err)
{
  static const char *const parts[] = {"layer", "partners", NULL};

  for (const char *const *part = parts; *part; part++) {
    autofree char *below = xasprintf ("%s/undo/%s", entry, *part);
    autofree char *layer = xasprintf ("history/%s", below);
    autoclose int fd = fd_open_dir_beneath (history_fd, below);

    if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
      return err_errno (err, "open %s", layer);
    if (fd >= 0 && visit (data, layer, fd, err) < 0)
      return -err->code;
  }
  return 0;
}

int fsck_each_layer (int place_fd, enum fsck_kind kind,
                     int (*visit) (void *data, const char *layer, int fd, struct err *err),
                     void *data, struct err *err)
{
  autoclose int tree_fd = fd_open_dir (place_fd, "tree");
  autoclose int history_fd = -1;
  autodirlist struct dirlist list = {0};

  if (tree_fd < 0 && errno != ENOENT)
    return err_errno (err, "open tree");
  if (tree_fd >= 0 && visit (data, "tree", tree_fd, err) < 0)
    return -err->code;
  if (kind == FSCK_TEMPLATE)
    return 0;
  history_fd = fd_open_dir (place_fd, "history");
  if (history_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open history");
  if (dirread_all (history_fd, &list, err) < 0)
    return err_wrap (err, "history");
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR &&
        each_undo_layer (history_fd, list.items[i].name, visit, data, err) < 0)
      return -err->code;
  return 0;
}
