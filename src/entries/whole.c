/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way back. What shares an entry shares the whole file as well: staging/ has a link to each
 * that was made, named by the inode of its entry. */
#include "guest/space.h"
#include "internal.h"
#include "store/entries.h"
#include "unify/groups.h"
#include "util/copy.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

/* In the directory of links, each with the inode of an entry: a copy that is not on the disk yet,
 * and must be before it is an object; and a link that recovery must not follow yet. */
#define COPY "whole-"
#define PENDING "pending-"
enum { TEMP_NAME_SIZE = 40 };

struct entry {
  struct digest id; /* of the object; all zero: it is none */
};

/* A whole file that was made in the place at hand. */
struct whole {
  uint64_t ino; /* of its entry */
  struct digest id;
  unsigned flags; /* of that */
};

struct wholes {
  struct entries_run *run;
  struct staging staging; /* owned */
  struct u64table index;  /* owned: inode of an entry -> index into entries, + 1 */
  struct entry *entries;  /* owned */
  size_t count;
  struct u64table *places; /* owned; for each of fsck's places: entries that it had, once it was
                              changed */
  uint64_t bytes;          /* sizes of all entries */
  struct whole *made;      /* owned */
  size_t made_count;
};

static void wholes_release (struct wholes *wholes)
{
  for (size_t i = 0; wholes->places && i < wholes->run->fsck.place_count; i++)
    u64table_release (&wholes->places[i]);
  free (wholes->places);
  free (wholes->entries);
  free (wholes->made);
  u64table_release (&wholes->index);
  staging_drop (&wholes->staging);
}

static struct entry *add_entry (struct wholes *wholes, uint64_t ino)
{
  if ((wholes->count & (wholes->count - 1)) == 0)
    wholes->entries = xreallocarray (wholes->entries, wholes->count ? wholes->count * 2 : 1,
                                     sizeof *wholes->entries);
  struct entry *entry = &wholes->entries[wholes->count++];
  *entry = (struct entry){0};
  *u64table_put (&wholes->index, ino, NULL) = wholes->count;
  return entry;
}

/* Entries that are objects. */
static int find_objects (struct wholes *wholes, struct err *err)
{
  struct store *store = wholes->run->root->store;
  autodirlist struct dirlist fans = {0};

  if (dirread_all (store->fd, &fans, err) < 0)
    return err_wrap (err, "store");
  for (size_t i = 0; i < fans.count; i++) {
    const char *fan = fans.items[i].name;
    autodirlist struct dirlist list = {0};

    if (!fan_is_name (fan))
      continue;
    autoclose int fan_fd = fd_open_dir (store->fd, fan);
    if (fan_fd < 0 || dirread_all (fan_fd, &list, err) < 0)
      return err_errno (err, "read store/%s", fan);
    for (size_t k = 0; k < list.count; k++) {
      const struct dirread_entry *item = &list.items[k];
      struct digest id;
      struct stat st;
      unsigned slot;

      if (item->type != DT_REG || !slot_parse (fan, item->name, &id, &slot))
        continue;
      int is_entry = fstatat (fan_fd, item->name, &st, AT_SYMLINK_NOFOLLOW) < 0
                         ? -1
                         : metaentry_read (-1, fan_fd, item->name, &st, NULL);
      /* A damaged one is told when it is met in a tree. */
      if (is_entry < 0 && errno != EUCLEAN)
        return err_errno (err, "look at the object store/%s/%s", fan, item->name);
      if (!is_entry)
        continue;
      add_entry (wholes, item->ino)->id = id;
      wholes->bytes += (uint64_t) st.st_size;
    }
  }
  return 0;
}

/* Is the file an entry? One that is no object is noted when it is met. Returns 1, 0 or negative. */
static int is_entry (struct wholes *wholes, int dir_fd, const struct dirread_entry *item,
                     struct err *err)
{
  if (item->type != DT_REG)
    return 0;
  if (u64table_has (&wholes->index, item->ino))
    return 1;
  int known = store_has_inode (wholes->run->root->store, item->ino, err);
  if (known)
    return known < 0 ? known : 0;
  struct stat st;
  if (fstatat (dir_fd, item->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", item->name);
  int marked = metaentry_read (-1, dir_fd, item->name, &st, NULL);
  /* A damaged one is told when it is read. */
  if (marked < 0 && errno != EUCLEAN)
    return err_errno (err, "look at %s", item->name);
  marked = marked != 0;
  if (marked)
    add_entry (wholes, item->ino);
  return marked;
}

static void temp_name (const char *prefix, uint64_t ino, char *name)
{
  snprintf (name, TEMP_NAME_SIZE, "%s%" PRIu64, prefix, ino);
}

/* The identity of the copy, a whole file. */
static int identify (struct wholes *wholes, const struct entry *entry, int temp_fd,
                     const char *name, struct whole *ret_whole, struct err *err)
{
  struct hasher *hasher = wholes->run->root->store->hasher;
  static const struct digest none;
  autoidentityparts struct identity_parts parts = {0};

  if (identity_parts_of (hasher, temp_fd, name, &parts, err) < 0)
    return -err->code;
  for (unsigned flags = 0; flags <= IDENTITY_ANY_MTIME; flags++) {
    struct digest id;

    identity_combine (hasher, &parts.st, &parts.xattrs, &parts.contents, flags | IDENTITY_ENTRY,
                      &id);
    if (digest_equal (&id, &entry->id) || digest_equal (&entry->id, &none)) {
      identity_combine (hasher, &parts.st, &parts.xattrs, &parts.contents, flags, &ret_whole->id);
      ret_whole->flags = flags;
      return 0;
    }
  }
  return err_code (err, EUCLEAN,
                   "it is not what its name in the store says: see `vstore fsck --repair`");
}

static int make_whole (struct wholes *wholes, struct entries_place *place, uint64_t ino, int dir_fd,
                       const char *name, struct err *err)
{
  const struct entry *entry = &wholes->entries[*u64table_get (&wholes->index, ino) - 1];
  int temp_fd = place->change.temp_fd;
  struct whole whole = {.ino = ino};
  char copy[TEMP_NAME_SIZE];
  struct stat st;

  temp_name (COPY, ino, copy);
  if (unlinkat (temp_fd, copy, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove a temporary copy");
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat it");
  if (copy_inode (dir_fd, name, &st, -1, NULL, temp_fd, copy, err) < 0 ||
      identify (wholes, entry, temp_fd, copy, &whole, err) < 0)
    return -err->code;
  if ((wholes->made_count & (wholes->made_count - 1)) == 0)
    wholes->made = xreallocarray (wholes->made, wholes->made_count ? wholes->made_count * 2 : 1,
                                  sizeof *wholes->made);
  wholes->made[wholes->made_count++] = whole;
  return 0;
}

/* The copy becomes an object or a link to one. */
static int publish (struct wholes *wholes, struct entries_place *place, const struct whole *whole,
                    struct err *err)
{
  int temp_fd = place->change.temp_fd;
  struct share share = {
      .store = wholes->run->root->store, .inodes = &place->inodes, .temp_fd = temp_fd};
  char copy[TEMP_NAME_SIZE], link[TEMP_NAME_SIZE], made[TEMP_NAME_SIZE];
  enum share_outcome outcome = SHARE_ALREADY;
  uint64_t new_ino = 0;
  struct stat st;

  temp_name (COPY, whole->ino, copy);
  temp_name (PENDING, whole->ino, link);
  temp_name ("", whole->ino, made);
  const struct share_file file = {
      .dir_fd = temp_fd, .name = copy, .id = &whole->id, .flags = whole->flags};
  int ret = store_share (&share, &file, &outcome, &new_ino, err);
  share_release (&share);
  if (ret < 0)
    return ret;
  if (fstatat (temp_fd, copy, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      renameat (temp_fd, copy, temp_fd, link) < 0)
    return err_errno (err, "rename a temporary copy");
  wholes->run->report->objects++;
  wholes->run->report->bytes += outcome == SHARE_PUBLISHED ? (uint64_t) st.st_size : 0;
  /* For other places; one that cannot be kept there costs them a comparison. */
  if (linkat (temp_fd, link, wholes->staging.fd, made, 0) < 0 && errno != EEXIST && errno != EMLINK)
    return err_errno (err, "link a whole file");
  return 0;
}

static int publish_all (struct wholes *wholes, struct entries_place *place, struct err *err)
{
  if (wholes->made_count && fd_sync_fs (place->change.temp_fd, err) < 0)
    return -err->code;
  for (size_t i = 0; i < wholes->made_count; i++) {
    autoerr struct err own = {0};

    if (publish (wholes, place, &wholes->made[i], &own) == 0)
      continue;
    if (own.code == ERR_INTERRUPTED || own.code == ENOSPC)
      return err_code (err, own.code, "%s", err_text (&own));
    entries_fail (wholes->run->report, &own);
  }
  return 0;
}

/* Links what another place got for the same entry, if this one may have it. 1, 0 or negative. */
static int take_made (struct wholes *wholes, struct entries_place *place, uint64_t ino,
                      const char *made, const char *link, struct err *err)
{
  const struct fsck_place *there = &wholes->run->fsck.places[place->index];
  bool partners = there->thin && u64table_has (&wholes->places[there->base], ino);
  struct stat st;

  if (fstatat (wholes->staging.fd, made, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for a whole file");
  /* Partners of names in its base go where those went. */
  if (!partners && (u64set_has (&place->inodes, st.st_ino) || st.st_nlink >= STORE_LINKS_MAX))
    return 0;
  if (linkat (wholes->staging.fd, made, place->change.temp_fd, link, 0) < 0)
    return err_errno (err, "link a whole file");
  u64set_add (&place->inodes, st.st_ino);
  return 1;
}

static int restore (struct wholes *wholes, struct entries_place *place, struct u64table *replaced,
                    uint64_t ino, int dir_fd, const char *name, struct err *err)
{
  char link[TEMP_NAME_SIZE], made[TEMP_NAME_SIZE];
  bool is_new = false;

  u64table_put (replaced, ino, &is_new);
  if (!is_new)
    return 0;
  temp_name ("", ino, made);
  temp_name (PENDING, ino, link);
  if (unlinkat (place->change.temp_fd, link, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", link);
  int taken = take_made (wholes, place, ino, made, link, err);
  if (taken)
    return taken < 0 ? taken : 0;
  return make_whole (wholes, place, ino, dir_fd, name, err);
}

struct walk {
  struct wholes *wholes;
  struct entries_place *place;
  struct u64table *replaced;
  bool looking; /* only: are there any? */
  bool found;
};

static int walk_dir (struct walk *walk, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *item = &list.items[i];
    autoerr struct err own = {0};

    if (item->type == DT_DIR) {
      autoclose int child = fd_open_dir (fd, item->name);

      if (child < 0)
        return err_errno (err, "open the directory %s", item->name);
      if (walk_dir (walk, child, err) < 0)
        return err_wrap (err, "%s", item->name);
      continue;
    }
    int found = is_entry (walk->wholes, fd, item, err);
    if (found < 0)
      return found;
    walk->found |= found;
    if (!found || walk->looking)
      continue;
    if (restore (walk->wholes, walk->place, walk->replaced, item->ino, fd, item->name, &own) < 0) {
      err_wrap (&own, "%s: %s", walk->place->change.place->path, item->name);
      if (own.code == ERR_INTERRUPTED || own.code == ENOSPC)
        return err_code (err, own.code, "%s", err_text (&own));
      entries_fail (walk->wholes->run->report, &own);
    }
  }
  return 0;
}

static int visit_layer (void *data, const char *layer, int fd, struct err *err)
{
  return walk_dir (data, fd, err) < 0 ? err_wrap (err, "%s", layer) : 0;
}

static int note_layer (void *data, const char *layer, int fd, struct err *err)
{
  return entries_note_inodes (data, fd, err) < 0 ? err_wrap (err, "%s", layer) : 0;
}

/* Returns 1, 0 when it has no entry, or negative. */
static int has_entries (struct wholes *wholes, const struct fsck_place *place, struct err *err)
{
  struct walk walk = {.wholes = wholes, .looking = true};
  autoclose int fd = fsck_open_place (&wholes->run->fsck, place, err);

  if (fd < 0 || fsck_each_layer (fd, place->kind, visit_layer, &walk, err) < 0)
    return -err->code;
  return walk.found;
}

static int note_inodes (struct wholes *wholes, struct entries_place *place, struct err *err)
{
  struct fsck *fsck = &wholes->run->fsck;
  const struct fsck_place *there = &fsck->places[place->index];

  if (fsck_each_layer (place->change.fd, there->kind, note_layer, place, err) < 0)
    return -err->code;
  if (!there->thin)
    return 0;
  autoclose int base_fd = fsck_open_place (fsck, &fsck->places[there->base], err);
  return base_fd < 0 ? base_fd : fsck_each_layer (base_fd, FSCK_TEMPLATE, note_layer, place, err);
}

/* Now all is on the disk. */
static int name_links (struct entries_place *place, struct err *err)
{
  int temp_fd = place->change.temp_fd;
  autodirlist struct dirlist list = {0};

  if (fd_sync_fs (temp_fd, err) < 0 || dirread_all (temp_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    char link[GROUP_NAME_SIZE];

    if (strncmp (name, PENDING, strlen (PENDING)) != 0)
      continue;
    if (group_name (temp_fd, strtoull (name + strlen (PENDING), NULL, 10), link, err) < 0)
      return -err->code;
    if (renameat (temp_fd, name, temp_fd, link) < 0)
      return err_errno (err, "rename %s", name);
  }
  return 0;
}

static int convert_place (struct wholes *wholes, struct entries_place *place, struct err *err)
{
  struct u64table *replaced = &wholes->places[place->index];
  struct walk walk = {.wholes = wholes, .place = place, .replaced = replaced};

  wholes->made_count = 0;
  if (note_inodes (wholes, place, err) < 0 ||
      fsck_each_layer (place->change.fd, place->change.place->kind, visit_layer, &walk, err) < 0 ||
      publish_all (wholes, place, err) < 0 || name_links (place, err) < 0)
    return entries_give_up (place, err);
  if (entries_replace (place, replaced, err) < 0)
    return -err->code;
  wholes->run->report->names++;
  return 0;
}

static int visit_place (struct wholes *wholes, size_t index, struct err *err)
{
  struct entries_run *run = wholes->run;
  const struct fsck_place *there = &run->fsck.places[index];
  int found = has_entries (wholes, there, err);

  if (found <= 0)
    return found < 0 ? err_wrap (err, "%s", there->path) : 0;
  int opened = entries_open_place (run, index, err);
  if (opened <= 0)
    return opened;
  struct entries_place *place = &run->places[run->place_count - 1];
  int ret = convert_place (wholes, place, err);
  fsck_change_close (&place->change);
  return ret < 0 ? err_wrap (err, "%s", there->path) : 0;
}

static int make_all (struct wholes *wholes, struct err *err)
{
  struct entries_run *run = wholes->run;

  if (entries_run_start (run, err) < 0 || find_objects (wholes, err) < 0 ||
      space_check (run->root, wholes->bytes, "make whole files", err) < 0 ||
      staging_make (run->root, "whole", &wholes->staging, err) < 0)
    return -err->code;
  wholes->places = xcalloc (run->fsck.place_count + 1, sizeof *wholes->places);
  for (size_t i = 0; i < run->fsck.place_count; i++) {
    autoerr struct err own = {0};

    progress_show ("contents: trees", i, run->fsck.place_count, "trees");
    if (interrupt_check (err) < 0)
      return -err->code;
    if (visit_place (wholes, i, &own) == 0)
      continue;
    if (own.code == ERR_INTERRUPTED || own.code == ENOSPC)
      return err_code (err, own.code, "%s", err_text (&own));
    entries_fail (run->report, &own);
  }
  progress_clear ();
  return 0;
}

int entries_whole (struct vroot *root, struct entries_report *report, struct err *err)
{
  struct entries_run run = {.root = root, .report = report};
  struct wholes wholes = {.run = &run, .staging = {.fd = -1}};
  int ret = make_all (&wholes, err);

  wholes_release (&wholes);
  entries_run_end (&run);
  return ret;
}
