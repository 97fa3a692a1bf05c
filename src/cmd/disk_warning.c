/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd.h"
#include "guest/disklimit.h"

void warn_of_disk_limit (const char *guest, uint64_t own_bytes, uint64_t limit)
{
  autofree char *own = format_bytes (own_bytes);
  autofree char *most = format_bytes (limit);

  print_warning ("guest %s: its own files take %s, more than its disk.soft_limit of %s", guest, own,
                 most);
}

static void over (void *data, const char *name, uint64_t own_bytes, uint64_t limit)
{
  (void) data;
  warn_of_disk_limit (name, own_bytes, limit);
}

void warn_of_disk_limits (struct vroot *root, const struct names *names)
{
  autoerr struct err err = {0};

  if (disk_limits_look (root, names, over, NULL, &err) < 0)
    print_warning ("the disk limits were not looked at: %s", err_text (&err));
}
