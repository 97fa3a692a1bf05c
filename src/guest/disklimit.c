/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disklimit.h"
#include "guest/settings.h"

int64_t disk_soft_limit (struct guest *guest)
{
  autosettings struct settings settings = {0};
  autoerr struct err ignored = {0};
  json_object *disk;

  if (!json_object_object_get_ex (guest->config, "disk", &disk) ||
      settings_parse (guest->config, guest->name, &settings, &ignored) < 0)
    return -1;
  return settings.disk_soft_bytes;
}

int disk_limits_look (struct vroot *root, const struct names *names,
                      void (*over) (void *data, const char *name, uint64_t own_bytes,
                                    uint64_t limit),
                      void *data, struct err *err)
{
  autousagemap struct usage_map map = {0};
  bool loaded = false;

  for (size_t i = 0; i < names->count; i++) {
    autoguest struct guest *guest = NULL;
    autoerr struct err gone = {0};
    struct usage usage;

    if (guest_open (root, names->items[i], GUEST_PEEK, &guest, &gone) < 0)
      continue;
    int64_t limit = disk_soft_limit (guest);
    if (limit < 0)
      continue;
    if (!loaded && usage_map_load (root, &map, err) < 0)
      return -err->code;
    loaded = true;
    if (usage_scan (&map, &guest->fd, 1, &usage, err) < 0)
      return err_wrap (err, "guest %s", guest->name);
    if (usage.own_bytes > (uint64_t) limit)
      over (data, guest->name, usage.own_bytes, (uint64_t) limit);
  }
  return 0;
}
