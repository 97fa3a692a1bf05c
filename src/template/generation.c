/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generation.h"
#include "guest/guest.h"
#include "util/fd.h"

void template_uses_release (struct template_uses *uses)
{
  int saved = errno;

  for (size_t i = 0; i < uses->count; i++)
    free (uses->items[i].template);
  free (uses->items);
  free (uses->unknown);
  *uses = (struct template_uses){0};
  errno = saved;
}

static struct template_use *find_use (const struct template_uses *uses, const char *name,
                                      int64_t generation)
{
  for (size_t i = 0; i < uses->count; i++)
    if (uses->items[i].generation == generation && strcmp (uses->items[i].template, name) == 0)
      return &uses->items[i];
  return NULL;
}

static void add_use (struct template_uses *uses, const char *name, int64_t generation)
{
  struct template_use *use = find_use (uses, name, generation);

  if (!use) {
    uses->items = xreallocarray (uses->items, uses->count + 1, sizeof *uses->items);
    use = &uses->items[uses->count++];
    *use = (struct template_use){.template = xstrdup (name), .generation = generation};
  }
  use->guests++;
}

static int read_guest (struct vroot *root, const char *name, struct template_uses *uses,
                       struct err *err)
{
  autoclose int fd = fd_open_dir (root->guests_fd, name);
  autojson json_object *state = NULL;
  const char *template = NULL;
  int64_t generation = 0;

  if (fd < 0 && errno == ENOENT)
    return 0; /* deleted since the list was read */
  if (fd < 0)
    return err_errno (err, "open guests/%s", name);
  if (json_read_file (fd, "state.json", "state.json", &state, err) < 0 ||
      json_get_string (state, "template", NULL, &template, err) < 0 ||
      json_get_int (state, "generation", 0, &generation, err) < 0)
    return -err->code;
  if (template)
    add_use (uses, template, generation);
  return 0;
}

int template_uses_read (struct vroot *root, struct template_uses *ret_uses, struct err *err)
{
  autotemplateuses struct template_uses uses = {0};
  autonames struct names names = {0};

  if (guest_list (root, &names, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names.count; i++) {
    if (read_guest (root, names.items[i], &uses, err) == 0)
      continue;
    if (!uses.unknown)
      uses.unknown = xstrdup (names.items[i]);
    err_release (err);
  }
  *ret_uses = uses;
  uses = (struct template_uses){0};
  return 0;
}

size_t template_uses_count (const struct template_uses *uses, const char *name, unsigned generation)
{
  const struct template_use *use = find_use (uses, name, generation);

  return use ? use->guests : 0;
}

static int take_away (int name_fd, const struct generations *old, struct staging *staging,
                      struct err *err)
{
  for (size_t i = 0; i < old->count; i++) {
    char number[16];

    snprintf (number, sizeof number, "%u", old->items[i]);
    if (fd_rename (name_fd, number, staging->fd, number, RENAME_NOREPLACE) < 0)
      return err_errno (err, "move the generation %s to staging", number);
  }
  return 0;
}

static int collect (struct vroot *root, const char *name, bool dry_run, struct staging *staging,
                    struct generations *old, struct err *err)
{
  autogenerations struct generations all = {0};
  autotemplateuses struct template_uses uses = {0};
  autoclose int name_fd = -1, lock_fd = -1;

  if (template_lock (root, name, LOCK_EXCLUSIVE, &name_fd, &lock_fd, err) < 0 ||
      template_generations (name_fd, &all, err) < 0 || template_uses_read (root, &uses, err) < 0)
    return -err->code;
  old->items = xcalloc (all.count + 1, sizeof *old->items);
  for (size_t i = 0; i + 1 < all.count; i++)
    if (!template_uses_count (&uses, name, all.items[i]))
      old->items[old->count++] = all.items[i];
  if (!old->count || dry_run)
    return 0;
  if (uses.unknown)
    return err_code (err, EBUSY,
                     "no generation is removed, as state.json of the guest %s cannot be read",
                     uses.unknown);
  if (staging_make (root, "generation", staging, err) < 0 || root_want_gc (root, err) < 0)
    return -err->code;
  return take_away (name_fd, old, staging, err);
}

int generations_collect (struct vroot *root, const char *name, bool dry_run,
                         struct generations *ret_removed, struct err *err)
{
  autostaging struct staging staging = {.fd = -1};
  autogenerations struct generations old = {0};

  /* The lock is given back before the trees are removed, which takes longer. */
  if (collect (root, name, dry_run, &staging, &old, err) < 0 || staging_remove (&staging, err) < 0)
    return err_wrap (err, "collect old generations of the template %s", name);
  *ret_removed = old;
  old = (struct generations){0};
  return 0;
}
