/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Good copies of damaged objects. They come, in this order, from another slot of the object; from
 * the damaged one itself, when only its metadata changed and what they were is known; from the
 * contents of another object, with the metadata of this one; from a file that is no object, in a
 * tree or a private layer. Whatever it is, it must have the identity that the name says. */
#include "internal.h"
#include "store/quarantine.h"
#include "store/store_internal.h"
#include "util/copy.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"

/* The search for contents. */
struct search {
  struct good *good;
  struct u64table sizes; /* owned: sizes that are looked for */
  int quarantine_fd;     /* owned */
  const char *source;    /* what is being looked through */
  size_t missing;        /* objects that have nothing yet */
};

static bool is_wanted (const struct fsck_object *object)
{
  return object->use_count && !object->cured && !object->source && object->damage.quarantined;
}

/* Its file in staging. */
static void good_name (const struct digest *id, char *name)
{
  digest_format (id, name);
}

/* Metadata that the object had, as far as they are known. */
static struct stat metadata_of (const struct damage *damage)
{
  struct stat st = damage->now;

  if (damage->kind == DAMAGE_METADATA || damage->kind == DAMAGE_OWNER)
    return damage->right;
  if (damage->noted) {
    st.st_mode = damage->note.mode;
    st.st_uid = damage->note.uid;
    st.st_gid = damage->note.gid;
    st.st_mtim = damage->note.mtime;
    st.st_size = (off_t) damage->note.size;
  }
  return st;
}

/* Makes the file in staging of the damaged one's attributes, the metadata @st, and the contents of
 * @data, or its own when that is NULL. 1, 0 when it is not what the name says, negative. */
static int make_copy (struct search *search, const struct fsck_object *object,
                      const struct stat *st, int data_dir, const char *data, struct err *err)
{
  struct staging *staging = &search->good->staging;
  struct hasher *hasher = search->good->fsck->root->store->hasher;
  char name[DIGEST_TEXT_SIZE];

  good_name (&object->damage.id, name);
  if (unlinkat (staging->fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove staging/%s", name);
  if (copy_inode (search->quarantine_fd, object->damage.quarantined, st, data_dir, data,
                  staging->fd, name, err) < 0)
    return -err->code;
  int good = store_is_object (hasher, staging->fd, name, &object->damage.id, err);
  if (good <= 0)
    unlinkat (staging->fd, name, 0);
  return good;
}

/* All damaged slots of one object get the same. */
static void note_source (struct search *search, const struct digest *id, const char *source)
{
  struct fsck *fsck = search->good->fsck;

  for (size_t i = 0; i < fsck->object_count; i++)
    if (is_wanted (&fsck->objects[i]) && digest_equal (&fsck->objects[i].damage.id, id)) {
      fsck->objects[i].source = source;
      search->missing--;
    }
}

/* The first slot with a good one: 1 and its name, 0 when there is none. */
static int find_good_slot (struct good *good, const struct digest *id, char *ret_name,
                           struct err *err)
{
  struct store *store = good->fsck->root->store;
  int fan = store_fan (store, id, err);

  if (fan < 0)
    return fan;
  for (unsigned slot = 0, gap = 0; gap < STORE_GAP_MAX; slot++) {
    struct stat st;
    int has = store_stat_slot (store, id, slot, &st, err);

    if (has < 0)
      return has;
    gap = has ? 0 : gap + 1;
    slot_name (id, slot, ret_name);
    int is_good = has ? store_is_object (store->hasher, fan, ret_name, id, err) : 0;
    if (is_good > 0)
      return 1;
    if (is_good < 0)
      err_release (err); /* one that cannot be read is none */
  }
  return 0;
}

static int look_in_slots (struct search *search, const struct digest *id, struct err *err)
{
  char name[SLOT_NAME_SIZE];
  int found = find_good_slot (search->good, id, name, err);

  if (found > 0)
    note_source (search, id, "slot");
  return found < 0 ? found : 0;
}

static int look_at_itself (struct search *search, const struct fsck_object *object, struct err *err)
{
  const struct damage *damage = &object->damage;
  struct stat st = metadata_of (damage);

  if (damage->kind != DAMAGE_METADATA && damage->kind != DAMAGE_OWNER &&
      damage->kind != DAMAGE_FORMS)
    return 0;
  st.st_size = damage->now.st_size;
  int good = make_copy (search, object, &st, -1, NULL, err);
  if (good > 0)
    note_source (search, &damage->id, "metadata");
  return good < 0 ? good : 0;
}

/* Has the file @name, whose parts are known, the contents of that object? With the object's own
 * metadata, or all of its own. */
static int try_object (struct search *search, const struct fsck_object *object, int dir_fd,
                       const char *name, const struct identity_parts *parts, struct err *err)
{
  struct store *store = search->good->fsck->root->store;
  const struct damage *damage = &object->damage;
  struct stat st = metadata_of (damage);

  if (damage->noted && !digest_equal (&damage->note.contents, &parts->contents))
    return 0;
  st.st_size = parts->st.st_size;
  int good = S_ISREG (st.st_mode) ? make_copy (search, object, &st, dir_fd, name, err) : 0;
  if (good == 0) {
    char copy[DIGEST_TEXT_SIZE];

    good_name (&damage->id, copy);
    if (store_is_object (store->hasher, dir_fd, name, &damage->id, err) > 0 &&
        copy_inode (dir_fd, name, &parts->st, -1, NULL, search->good->staging.fd, copy, err) == 0)
      good = store_is_object (store->hasher, search->good->staging.fd, copy, &damage->id, err);
  }
  if (good > 0)
    note_source (search, &damage->id, search->source);
  return good < 0 ? good : 0;
}

/* A regular file that might have what is looked for: its size is that of a wanted one. */
static int consider (struct search *search, int dir_fd, const char *name, const struct stat *st,
                     struct err *err)
{
  struct fsck *fsck = search->good->fsck;
  autoidentityparts struct identity_parts parts = {0};
  autoerr struct err ignored = {0};

  if (!S_ISREG (st->st_mode) || !st->st_size ||
      !u64table_has (&search->sizes, (uint64_t) st->st_size))
    return 0;
  /* What cannot be read is no source. */
  if (identity_parts_of (fsck->root->store->hasher, dir_fd, name, &parts, &ignored) < 0)
    return 0;
  for (size_t i = 0; i < fsck->object_count && search->missing; i++) {
    const struct fsck_object *object = &fsck->objects[i];

    if (is_wanted (object) && metadata_of (&object->damage).st_size == parts.st.st_size &&
        try_object (search, object, dir_fd, name, &parts, err) < 0)
      return -err->code;
  }
  return 0;
}

static int visit_object (void *data, int fan_fd, const char *name, uint64_t ino, struct err *err)
{
  struct search *search = data;
  struct stat st;

  (void) ino;
  if (!search->missing)
    return 0;
  if (interrupt_check (err) < 0)
    return -err->code;
  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object %s", name);
  return consider (search, fan_fd, name, &st, err);
}

/* Files that are not in the store. */
static int look_in_dir (struct search *search, int fd, struct err *err)
{
  const struct u64set *inodes = &search->good->fsck->root->store->inodes;
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count && search->missing; i++) {
    const struct dirread_entry *entry = &list.items[i];
    struct stat st;

    if (entry->type == DT_DIR) {
      autoclose int child = fd_open (fd, entry->name, O_RDONLY | O_DIRECTORY | O_NOATIME, 0);

      if (child >= 0 && look_in_dir (search, child, err) < 0)
        return -err->code;
      continue;
    }
    if (entry->type != DT_REG || u64set_has (inodes, entry->ino) ||
        fstatat (fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      continue;
    if (consider (search, fd, entry->name, &st, err) < 0)
      return -err->code;
  }
  return 0;
}

static int visit_layer (void *data, const char *layer, int fd, struct err *err)
{
  return look_in_dir (data, fd, err) < 0 ? err_wrap (err, "%s", layer) : 0;
}

static int look_in_place (struct search *search, const struct fsck_place *place, struct err *err)
{
  autoclose int fd = fsck_open_place (search->good->fsck, place, err);
  autoclose int private_fd = fd < 0 ? -1 : fd_open_dir (fd, "private");

  if (fd < 0)
    return fd;
  if (place->unshared && fsck_each_layer (fd, place->kind, visit_layer, search, err) < 0)
    return -err->code;
  return private_fd >= 0 ? look_in_dir (search, private_fd, err) : 0;
}

static int look_in_places (struct search *search, struct err *err)
{
  struct fsck *fsck = search->good->fsck;

  search->source = "file";
  for (size_t i = 0; i < fsck->place_count && search->missing; i++) {
    if (look_in_place (search, &fsck->places[i], err) == 0)
      continue;
    if (err->code == ERR_INTERRUPTED)
      return -err->code;
    err_release (err); /* what cannot be read is no source, and was told already */
  }
  return 0;
}

static int look_everywhere (struct search *search, struct err *err)
{
  struct fsck *fsck = search->good->fsck;

  for (size_t i = 0; i < fsck->object_count; i++) {
    struct fsck_object *object = &fsck->objects[i];

    if ((is_wanted (object) && look_in_slots (search, &object->damage.id, err) < 0) ||
        (is_wanted (object) && look_at_itself (search, object, err) < 0))
      return -err->code;
    if (is_wanted (object))
      u64table_put (&search->sizes, (uint64_t) metadata_of (&object->damage).st_size, NULL);
  }
  search->source = "contents";
  if (search->missing && store_each (fsck->root->store, visit_object, search, err) < 0)
    return -err->code;
  return search->missing ? look_in_places (search, err) : 0;
}

int good_find (struct good *good, struct err *err)
{
  struct search search = {.good = good, .quarantine_fd = -1};

  for (size_t i = 0; i < good->fsck->object_count; i++)
    search.missing += is_wanted (&good->fsck->objects[i]);
  if (!search.missing)
    return 0;
  int ret = quarantine_open (good->fsck->root->store, &search.quarantine_fd, err);
  if (ret == 0)
    ret = look_everywhere (&search, err);
  cleanup_close (&search.quarantine_fd);
  u64table_release (&search.sizes);
  return ret;
}

/* Fills the free slot @name from the file in staging, or from another slot: the k-th of all guests
 * is one inode again. 1; 0 when there is nothing to fill it with. */
static int fill_slot (struct good *good, const struct digest *id, int fan, const char *name,
                      struct err *err)
{
  char made[DIGEST_TEXT_SIZE], from[SLOT_NAME_SIZE];
  int staging = good->staging.fd;
  struct stat st;

  good_name (id, made);
  if (faccessat (staging, made, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
    int found = find_good_slot (good, id, from, err);

    if (found <= 0)
      return found;
    if (fstatat (fan, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat the object %s", from);
    if (copy_inode (fan, from, &st, -1, NULL, staging, made, err) < 0)
      return -err->code;
    int same = store_is_object (good->fsck->root->store->hasher, staging, made, id, err);
    if (same <= 0)
      return same;
  }
  /* Its name promises what is in it, also behind a loss of power. */
  if (fd_sync_fs (staging, err) < 0)
    return -err->code;
  if (renameat (staging, made, fan, name) < 0)
    return err_errno (err, "publish a copy as store/%02x/%s", id->bytes[0], name);
  if (fstatat (fan, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat the object %s", name);
  u64set_add (&good->fsck->root->store->inodes, st.st_ino);
  return 1;
}

int good_link (struct good *good, const struct fsck_object *object, struct u64set *inodes,
               uint64_t wanted, int temp_fd, const char *link, uint64_t *ret_ino, struct err *err)
{
  struct store *store = good->fsck->root->store;
  const struct digest *id = &object->damage.id;
  char name[SLOT_NAME_SIZE];
  int fan = store_fan (store, id, err);

  if (fan < 0)
    return fan;
  for (unsigned slot = 0;; slot++) {
    struct stat st;
    int has = store_stat_slot (store, id, slot, &st, err);

    slot_name (id, slot, name);
    if (has == 0 && wanted && slot >= STORE_GAP_MAX)
      return 0;
    if (has == 0 && !wanted) {
      has = fill_slot (good, id, fan, name, err);
      if (has > 0)
        has = store_stat_slot (store, id, slot, &st, err);
    }
    if (has == 0 && wanted)
      continue;
    if (has <= 0)
      return has;
    if (wanted ? st.st_ino != wanted
               : u64set_has (inodes, st.st_ino) || st.st_nlink >= STORE_LINKS_MAX)
      continue;
    if (store_is_object (store->hasher, fan, name, id, err) <= 0) {
      err_release (err);
      continue;
    }
    if (linkat (fan, name, temp_fd, link, 0) < 0)
      return err_errno (err, "link store/%02x/%s", id->bytes[0], name);
    u64set_add (inodes, st.st_ino);
    *ret_ino = st.st_ino;
    return 1;
  }
}
