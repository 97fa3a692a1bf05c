/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generation.h"
#include "guest/base.h"
#include "guest/collect.h"
#include "util/dirread.h"
#include "util/fd.h"

void template_uses_release (struct template_uses *uses)
{
  int saved = errno;

  for (size_t i = 0; i < uses->count; i++) {
    free (uses->items[i].template);
    names_release (&uses->items[i].thin);
  }
  free (uses->items);
  free (uses->unknown);
  free (uses->unknown_base);
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

static struct template_use *add_use (struct template_uses *uses, const char *name,
                                     int64_t generation)
{
  struct template_use *use = find_use (uses, name, generation);

  if (!use) {
    uses->items = xreallocarray (uses->items, uses->count + 1, sizeof *uses->items);
    use = &uses->items[uses->count++];
    *use = (struct template_use){.template = xstrdup (name), .generation = generation};
  }
  return use;
}

/* What the guest's state says of where it comes from. */
static int read_state (int fd, struct template_uses *uses, struct err *err)
{
  autojson json_object *state = NULL;
  const char *template = NULL;
  int64_t generation = 0;

  if (json_read_file (fd, "state.json", "state.json", &state, err) < 0 ||
      json_get_string (state, "template", NULL, &template, err) < 0 ||
      json_get_int (state, "generation", 0, &generation, err) < 0)
    return -err->code;
  if (template)
    add_use (uses, template, generation)->guests++;
  return 0;
}

static void note_unknown (char **unknown, const char *name)
{
  if (!*unknown)
    *unknown = xstrdup (name);
}

/* @aside: one of those that were put aside, which count for what they lie over alone. */
static void read_guest (int guests_fd, const char *name, bool aside, struct template_uses *uses)
{
  autoclose int fd = fd_open_dir (guests_fd, name);
  autoguestbase struct guest_base base = {0};
  autoerr struct err err = {0};

  if (fd < 0 && errno == ENOENT)
    return; /* deleted since the list was read */
  if (fd < 0 || guest_base_read (fd, &base, &err) < 0) {
    note_unknown (&uses->unknown_base, name);
    return;
  }
  if (base.template) {
    autofree char *holder = xasprintf ("%s%s", aside ? "aside/" : "", name);

    names_add (&add_use (uses, base.template, base.generation)->thin, holder);
  }
  if (!aside && read_state (fd, uses, &err) < 0)
    note_unknown (&uses->unknown, name);
}

static void read_guests (int guests_fd, const struct names *names, bool aside,
                         struct template_uses *uses)
{
  for (size_t i = 0; i < names->count; i++)
    read_guest (guests_fd, names->items[i], aside, uses);
}

/* The guests, and those put aside. */
struct lists {
  struct names guests, aside; /* owned */
};

static void lists_release (struct lists *lists)
{
  names_release (&lists->guests);
  names_release (&lists->aside);
}
#define autolists __attribute__ ((cleanup (lists_release)))

static int read_lists (struct vroot *root, struct lists *ret_lists, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (guest_list (root, &ret_lists->guests, err) < 0)
    return -err->code;
  if (dirread_all (root->aside_fd, &list, err) < 0)
    return err_wrap (err, "%s/aside", root->path);
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR)
      names_add (&ret_lists->aside, list.items[i].name);
  return 0;
}

static bool names_equal (const struct names *a, const struct names *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp (a->items[i], b->items[i]) != 0)
      return false;
  return true;
}

/* A guest that is renamed or put aside while we read may be met under neither of its names: the
 * lists must be the same before and behind. */
int template_uses_read (struct vroot *root, struct template_uses *ret_uses, struct err *err)
{
  autolists struct lists before = {0};

  if (read_lists (root, &before, err) < 0)
    return -err->code;
  for (;;) {
    autotemplateuses struct template_uses uses = {0};
    autolists struct lists now = {0};

    read_guests (root->guests_fd, &before.guests, /* aside= */ false, &uses);
    read_guests (root->aside_fd, &before.aside, /* aside= */ true, &uses);
    if (read_lists (root, &now, err) < 0)
      return -err->code;
    if (names_equal (&before.guests, &now.guests) && names_equal (&before.aside, &now.aside)) {
      *ret_uses = uses;
      uses = (struct template_uses){0};
      return 0;
    }
    lists_release (&before);
    before = now;
    now = (struct lists){0};
  }
}

size_t template_uses_count (const struct template_uses *uses, const char *name, unsigned generation)
{
  const struct template_use *use = find_use (uses, name, generation);

  return use ? use->guests : 0;
}

const struct names *template_uses_thin (const struct template_uses *uses, const char *name,
                                        unsigned generation)
{
  const struct template_use *use = find_use (uses, name, generation);

  return use && use->thin.count ? &use->thin : NULL;
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

/* What may be a thin guest may lie over any of them. */
static int refuse_unknown_base (const struct template_uses *uses, struct err *err)
{
  if (!uses->unknown_base)
    return 0;
  return err_code (err, EBUSY,
                   "no generation is removed, as it cannot be read whether the guest %s is thin",
                   uses->unknown_base);
}

static int collect (struct vroot *root, const char *name, bool dry_run, struct staging *staging,
                    struct generations *old, uint64_t *ret_files, struct err *err)
{
  autogenerations struct generations all = {0};
  autotemplateuses struct template_uses uses = {0};
  autoclose int name_fd = -1, lock_fd = -1;

  if (template_lock (root, name, LOCK_EXCLUSIVE, &name_fd, &lock_fd, err) < 0 ||
      template_generations (name_fd, &all, err) < 0 || template_uses_read (root, &uses, err) < 0)
    return -err->code;
  old->items = xcalloc (all.count + 1, sizeof *old->items);
  for (size_t i = 0; i + 1 < all.count; i++)
    if (!template_uses_count (&uses, name, all.items[i]) &&
        !template_uses_thin (&uses, name, all.items[i]))
      old->items[old->count++] = all.items[i];
  if (!old->count || dry_run)
    return 0;
  if (refuse_unknown_base (&uses, err) < 0)
    return -err->code;
  if (uses.unknown)
    return err_code (err, EBUSY,
                     "no generation is removed, as state.json of the guest %s cannot be read",
                     uses.unknown);
  *ret_files = template_files (name_fd, old);
  if (staging_make (root, "generation", staging, err) < 0 || root_want_gc (root, err) < 0)
    return -err->code;
  return take_away (name_fd, old, staging, err);
}

int generations_collect (struct vroot *root, const char *name, bool dry_run,
                         struct generations *ret_removed, uint64_t *ret_files, struct err *err)
{
  autostaging struct staging staging = {.fd = -1};
  autogenerations struct generations old = {0};

  *ret_files = 0;
  /* The lock is given back before the trees are removed, which takes longer. */
  if (collect (root, name, dry_run, &staging, &old, ret_files, err) < 0 ||
      staging_remove (&staging, err) < 0)
    return err_wrap (err, "collect old generations of the template %s", name);
  *ret_removed = old;
  old = (struct generations){0};
  return 0;
}

/* From here on it is no template any more. */
static int mark_deleted (int name_fd, const char *name, struct err *err)
{
  autoclose int fd = fd_open (name_fd, TEMPLATE_DELETED, O_WRONLY | O_CREAT, 0600);

  if (fd < 0 || fsync (name_fd) < 0)
    return err_errno (err, "make templates/%s/" TEMPLATE_DELETED, name);
  return 0;
}

/* Moves the generations of @name over which nobody lies to staging, and says that the others are of
 * no template any more; or, where that is all, moves the template. */
static int take_deleted (struct vroot *root, const char *name, int name_fd,
                         const struct template_uses *uses, struct staging *staging,
                         struct names *holders, size_t *ret_removed, struct err *err)
{
  autogenerations struct generations all = {0};
  struct generations free_ones = {0};

  if (template_generations (name_fd, &all, err) < 0 || refuse_unknown_base (uses, err) < 0)
    return -err->code;
  free_ones.items = xcalloc (all.count + 1, sizeof *free_ones.items);
  for (size_t i = 0; i < all.count; i++) {
    const struct names *thin = template_uses_thin (uses, name, all.items[i]);

    if (!thin)
      free_ones.items[free_ones.count++] = all.items[i];
    for (size_t k = 0; thin && k < thin->count; k++)
      names_add (holders, thin->items[k]);
  }
  int ret = 0;
  if (holders->count)
    ret = mark_deleted (name_fd, name, err) < 0 ? -err->code
                                                : take_away (name_fd, &free_ones, staging, err);
  else if (fd_rename (root->templates_fd, name, staging->fd, name, 0) < 0)
    ret = err_errno (err, "move the template %s to staging", name);
  *ret_removed += free_ones.count;
  generations_release (&free_ones);
  return ret;
}

int template_delete (struct vroot *root, const char *name, struct names *ret_holders,
                     struct gc_result *ret_freed, struct err *err)
{
  autotemplateuses struct template_uses uses = {0};
  autogenerations struct generations generations = {0};
  autoclose int fd = -1, lock_fd = -1;
  autostaging struct staging staging = {.fd = -1};
  size_t removed = 0;

  if (name_check (name, "template", err) < 0 ||
      template_lock (root, name, LOCK_EXCLUSIVE, &fd, &lock_fd, err) < 0)
    return -err->code;
  if (template_generations (fd, &generations, err) < 0)
    return err_wrap (err, "template %s", name);
  uint64_t files = template_files (fd, &generations);
  if (template_uses_read (root, &uses, err) < 0 || refuse_unknown_base (&uses, err) < 0 ||
      staging_make (root, "delete", &staging, err) < 0 ||
      take_deleted (root, name, fd, &uses, &staging, ret_holders, &removed, err) < 0)
    return err_wrap (err, "delete the template %s", name);
  /* The lock is given back before the trees are removed, which takes longer. */
  cleanup_close (&lock_fd);
  lock_fd = -1;
  if (staging_remove (&staging, err) < 0)
    return err_wrap (err, "remove the template %s", name);
  /* The note is for the case that another one collects now. */
  if (root_want_gc (root, err) < 0 || root_collect_after (root, files, ret_freed, err) < 0)
    return err_wrap (err, "remove the objects that only the template %s used", name);
  return 0;
}

static int collect_deleted (struct vroot *root, const char *name, size_t *ret_removed,
                            uint64_t *ret_files, struct err *err)
{
  autotemplateuses struct template_uses uses = {0};
  autogenerations struct generations generations = {0};
  autoclose int fd = -1, lock_fd = -1;
  autostaging struct staging staging = {.fd = -1};
  autonames struct names holders = {0};
  struct vroot impatient = *root; /* borrows all */

  impatient.no_wait = true;
  int ret = template_lock_any (&impatient, name, LOCK_EXCLUSIVE, &fd, &lock_fd, err);
  if (ret == -ERR_LOCKED || ret == -ERR_NO_GUEST) {
    err_release (err);
    return 0;
  }
  if (ret < 0 || template_uses_read (root, &uses, err) < 0)
    return -err->code;
  /* What cannot be read now may be the next time. */
  if (uses.unknown_base)
    return 0;
  if (template_generations (fd, &generations, err) < 0)
    return -err->code;
  *ret_files += template_files (fd, &generations);
  if (staging_make (root, "delete", &staging, err) < 0 || root_want_gc (root, err) < 0 ||
      take_deleted (root, name, fd, &uses, &staging, &holders, ret_removed, err) < 0)
    return -err->code;
  return staging_remove (&staging, err);
}

int templates_collect_deleted (struct vroot *root, size_t *ret_removed, uint64_t *ret_files,
                               struct err *err)
{
  autonames struct names names = {0}, deleted = {0};
  size_t removed = 0;
  uint64_t files = 0;

  if (template_list (root, &names, &deleted, err) < 0)
    return -err->code;
  for (size_t i = 0; i < deleted.count; i++)
    if (collect_deleted (root, deleted.items[i], &removed, &files, err) < 0)
      return err_wrap (err, "remove what is left of the template %s", deleted.items[i]);
  *ret_removed = removed;
  *ret_files = files;
  return 0;
}

int templates_free_deleted (struct vroot *root, struct err *err)
{
  struct gc_result freed;
  size_t removed = 0;
  uint64_t files = 0;

  if (templates_collect_deleted (root, &removed, &files, err) < 0)
    return -err->code;
  if (removed && root_collect_after (root, files, &freed, err) < 0)
    return err_wrap (err, "remove the objects that only deleted templates used");
  return 0;
}
