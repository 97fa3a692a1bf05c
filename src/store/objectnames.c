/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "objectnames.h"
#include "util/dirread.h"
#include "util/fd.h"

enum { FANS = 256 };

void object_names_release (struct object_names *objects)
{
  u64table_release (&objects->index);
  free (objects->items);
  *objects = (struct object_names){0};
}

const struct object_name *object_names_find (const struct object_names *objects, uint64_t ino)
{
  const uint64_t *at = u64table_get (&objects->index, ino);

  return at ? &objects->items[*at] : NULL;
}

static void add (struct object_names *objects, uint64_t ino, const struct object_name *object)
{
  if ((objects->count & (objects->count - 1)) == 0)
    objects->items = xreallocarray (objects->items, objects->count ? objects->count * 2 : 1,
                                    sizeof *objects->items);
  *u64table_put (&objects->index, ino, NULL) = objects->count;
  objects->items[objects->count++] = *object;
}

static int load_fan (struct store *store, const char *fan, const struct u64table *wanted,
                     struct object_names *objects, struct err *err)
{
  autoclose int fd = fd_open_dir (store->fd, fan);
  autodirread struct dirread dirread = {.fd = -1};
  struct dirread_entry entry = {0};
  struct object_name object = {0};
  int more;

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open store/%s", fan);
  dirread_start (fd, &dirread);
  while ((more = dirread_next (&dirread, &entry, err)) > 0)
    if (u64table_has (wanted, entry.ino) && slot_parse (fan, entry.name, &object.id, &object.slot))
      add (objects, entry.ino, &object);
  return more < 0 ? err_wrap (err, "store/%s", fan) : 0;
}

int object_names_load (struct store *store, const struct u64table *wanted,
                       struct object_names *ret_objects, struct err *err)
{
  autoobjectnames struct object_names objects = {0};

  for (unsigned i = 0; i < FANS && objects.count < wanted->count + wanted->has_zero; i++) {
    char fan[3];

    snprintf (fan, sizeof fan, "%02x", i & 0xff);
    if (load_fan (store, fan, wanted, &objects, err) < 0)
      return -err->code;
  }
  *ret_objects = objects;
  objects = (struct object_names){0};
  return 0;
}
