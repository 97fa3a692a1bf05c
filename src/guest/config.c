/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing the files of a guest's directory, config.json above all. */
#include "guest.h"
#include "util/dirread.h"
#include "util/fd.h"

enum { CONFIG_MAX = 4 << 20 };

/* Has the JSON text a comment? */
static bool has_comments (const char *text)
{
  bool inside = false;

  for (; *text; text++) {
    if (*text == '"')
      inside = !inside;
    else if (inside && *text == '\\' && text[1])
      text++;
    else if (!inside && *text == '/')
      return true;
  }
  return false;
}

int guest_save_config (struct guest *guest, json_object *config, bool *ret_commented,
                       struct err *err)
{
  autofree char *text = NULL;
  size_t len = 0;

  if (fd_read_file (guest->fd, "config.json", CONFIG_MAX, &text, &len, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  *ret_commented = has_comments (text);
  /* json-c does not keep comments: the file that has them is kept beside. */
  if ((*ret_commented && fd_write_file (guest->fd, "config.json.old", text, len, 0600, err) < 0) ||
      json_write_file (guest->fd, "config.json", config, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return 0;
}

int guest_sweep (struct guest *guest, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (guest->fd, &list, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  for (size_t i = 0; i < list.count; i++)
    if (strncmp (list.items[i].name, ".vg-", 4) == 0 &&
        fd_remove_tree (guest->fd, list.items[i].name, err) < 0)
      return err_wrap (err, "guest %s", guest->name);
  return 0;
}
