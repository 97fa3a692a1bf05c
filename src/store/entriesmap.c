/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entriesmap.h"
#include "entries.h"
#include "util/dirread.h"
#include "util/fd.h"

void entries_map_release (struct entries_map *map)
{
  free (map->links);
  u64table_release (&map->contents);
  *map = (struct entries_map){0};
}

static int compare_links (const void *a, const void *b)
{
  const struct entries_link *x = a, *y = b;

  return strcmp (x->place, y->place);
}

static void add_link (struct entries_map *map, const char *fan, const struct dirread_entry *entry)
{
  if ((map->count & (map->count - 1)) == 0)
    map->links = xreallocarray (map->links, map->count ? map->count * 2 : 1, sizeof *map->links);
  struct entries_link *link = &map->links[map->count++];
  *link = (struct entries_link){.ino = entry->ino};
  snprintf (link->place, sizeof link->place, "/%s/%s", fan, entry->name);
}

static int read_fan (struct entries_map *map, int data_fd, const char *fan, struct err *err)
{
  autoclose int fd = fd_open_dir (data_fd, fan);
  autodirlist struct dirlist list = {0};

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open store/" METAENTRY_DATA "/%s", fan);
  if (dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "store/" METAENTRY_DATA "/%s", fan);
  for (size_t i = 0; i < list.count; i++)
    /* Others are told by who looks for what does not belong there. */
    if (strlen (list.items[i].name) == METAENTRY_PLACE_SIZE - strlen ("/ab/") - 1)
      add_link (map, fan, &list.items[i]);
  return 0;
}

static int read_links (struct entries_map *map, int data_fd, struct err *err)
{
  autodirlist struct dirlist fans = {0};

  if (dirread_all (data_fd, &fans, err) < 0)
    return err_wrap (err, "store/" METAENTRY_DATA);
  for (size_t i = 0; i < fans.count; i++)
    if (fan_is_name (fans.items[i].name) && read_fan (map, data_fd, fans.items[i].name, err) < 0)
      return -err->code;
  if (map->count)
    qsort (map->links, map->count, sizeof *map->links, compare_links);
  return 0;
}

int entries_map_add (struct entries_map *map, int dir_fd, const char *name, const struct stat *st,
                     struct err *err)
{
  struct entries_link key = {0};
  int is_entry = metaentry_read (-1, dir_fd, name, st, key.place);

  if (is_entry < 0)
    return errno == ENOENT ? 0 : err_errno (err, "read the attributes of %s", name);
  if (!is_entry)
    return 0;
  struct entries_link *link =
      map->count ? bsearch (&key, map->links, map->count, sizeof *map->links, compare_links) : NULL;
  if (!link)
    return err_code (err, EUCLEAN, "%s: its contents are not in store/" METAENTRY_DATA "%s", name,
                     key.place);
  link->used = true;
  *u64table_put (&map->contents, st->st_ino, NULL) = link->ino;
  return 1;
}

static int visit_object (void *data, int fan_fd, const char *name, uint64_t ino, struct err *err)
{
  struct stat st;

  (void) ino;
  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object %s", name);
  if (entries_map_add (data, fan_fd, name, &st, err) < 0) {
    if (err->code != EUCLEAN)
      return -err->code;
    err_release (err); /* for fsck to tell */
  }
  return 0;
}

int entries_map_load (struct store *store, struct entries_map *ret_map, struct err *err)
{
  autoentriesmap struct entries_map map = {0};
  autoclose int data_fd = fd_open_dir (store->fd, METAENTRY_DATA);

  if (data_fd < 0 && errno != ENOENT)
    return err_errno (err, "open store/" METAENTRY_DATA);
  if (data_fd >= 0 &&
      (read_links (&map, data_fd, err) < 0 || store_each (store, visit_object, &map, err) < 0))
    return -err->code;
  *ret_map = map;
  map = (struct entries_map){0};
  return 0;
}

uint64_t entries_map_contents (const struct entries_map *map, uint64_t ino)
{
  const uint64_t *contents = u64table_get (&map->contents, ino);

  return contents ? *contents : ino;
}
