/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What completion/vguest asks: vguest --complete KIND [ROOT]. One word a line; nothing, and never
 * an error, where something is missing or may not be read. */
#include "cmd.h"
#include "guest/settings.h"
#include "template/template.h"

static void print_names (const struct names *names)
{
  for (size_t i = 0; i < names->count; i++)
    puts (names->items[i]);
}

static void print_of_root (const char *kind, const char *path)
{
  struct vroot_options options = {.path = path && *path ? path : NULL, .existing = true};
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  autoerr struct err ignored = {0};

  if (root_open (&options, &root, &ignored) < 0)
    return;
  if ((strcmp (kind, "guests") == 0 ? guest_list (root, &names, &ignored)
                                    : template_list (root, &names, NULL, &ignored)) == 0)
    print_names (&names);
}

void complete_words (const char *kind, const char *root)
{
  if (strcmp (kind, "guests") == 0 || strcmp (kind, "templates") == 0) {
    print_of_root (kind, root);
  } else if (strcmp (kind, "keys") == 0) {
    for (const char *const *key = settings_keys (); *key; key++)
      puts (*key);
  } else if (strcmp (kind, "styles") == 0) {
    for (int style = INIT_AUTO; style <= INIT_NONE; style++)
      puts (init_style_name ((enum init_style) style));
  }
}
