/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --json prints, and keeps to:
 *   {"shared": [{"kind", "guests": [{"name", "path"}]}]} */
#include "check_identity.h"
#include "view/identities.h"

/* Whether values @first and the @count - 1 behind it are of several guests, one of them selected.
 * (One guest may well have the same in two places.) */
static bool concerns (const struct identities *found, size_t first, size_t count,
                      const struct names *all, const struct names *selected)
{
  bool several = false, mine = false;

  for (size_t i = first; i < first + count; i++) {
    several |= found->items[i].guest != found->items[first].guest;
    mine |= names_has (selected, all->items[found->items[i].guest]);
  }
  return several && mine;
}

/* "machine-id: /etc/machine-id is the same in db, web[1-3]", a line for each path. */
static void print_value (const struct identities *found, size_t first, size_t count,
                         const struct names *all)
{
  autonames struct names paths = {0};

  for (size_t i = first; i < first + count; i++)
    if (!names_has (&paths, found->items[i].path))
      names_add (&paths, found->items[i].path);
  for (size_t p = 0; p < paths.count; p++) {
    autonames struct names guests = {0};

    for (size_t i = first; i < first + count; i++)
      if (strcmp (found->items[i].path, paths.items[p]) == 0)
        names_add (&guests, all->items[found->items[i].guest]);
    autofree char *brief = names_brief (&guests), *path = format_text (paths.items[p]);
    printf ("%-18s %s: the same in %s%s\n", found->items[first].kind, path, brief,
            paths.count > 1 ? ", with another path" : "");
  }
}

static void add_value (const struct identities *found, size_t first, size_t count,
                       const struct names *all, json_object *list)
{
  json_object *object = json_object_new_object (), *guests = json_object_new_array ();

  json_set_string (object, "kind", found->items[first].kind);
  for (size_t i = first; i < first + count; i++) {
    const struct identity_value *value = &found->items[i];
    json_object *guest = json_object_new_object ();

    json_set_string (guest, "name", all->items[value->guest]);
    json_set_bytes (guest, "path", value->path, strlen (value->path));
    json_append (guests, guest);
  }
  json_put (object, "guests", guests);
  json_append (list, object);
}

int check_identity (struct context *context, struct vroot *root, const struct names *names,
                    struct err *err)
{
  autoidentities struct identities found = {0};
  autojson json_object *object = NULL;
  autonames struct names all = {0};
  json_object *list = NULL;
  size_t shared = 0;

  if (guest_list (root, &all, err) < 0 || identities_read (root, &all, &found, err) < 0)
    return -err->code;
  if (context->json) {
    object = json_object_new_object ();
    list = json_object_new_array ();
    json_put (object, "shared", list);
  }
  for (size_t i = 0, count; i < found.count; i += count) {
    count = identities_same (&found, i);
    if (!concerns (&found, i, count, &all, names))
      continue;
    shared++;
    if (list)
      add_value (&found, i, count, &all, list);
    else
      print_value (&found, i, count, &all);
  }
  if (object)
    print_json (object);
  return shared ? err_code (err, ERR_SOME_FAILED,
                            "%zu values that should be a guest's own are also another's", shared)
                : 0;
}
