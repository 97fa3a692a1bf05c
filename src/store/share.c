/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How one file comes to share its inode with an object: choosing the slot, publishing, linking. */
#include "quarantine.h"
#include "store_internal.h"
#include "util/copy.h"
#include "util/fd.h"
#include "verity.h"
#include <inttypes.h>
#include <stdatomic.h>

/* A gap in the slots of an object (gc removed one) does not end the search for a free one; the
 * next publish fills it. */

void share_release (struct share *share)
{
  u64table_release (&share->next_slot);
}

/* A name for a link in a directory that only this process uses: no random number for each file.
 * Should it be there all the same, link_temp takes another. */
static void number_name (char *name)
{
  static atomic_uint_least64_t last;

  snprintf (name, FD_TEMP_NAME_SIZE, ".vg-%016" PRIx64, atomic_fetch_add (&last, 1));
}

static int link_temp (const struct share *share, int from_dir, const char *from, char *temp)
{
  number_name (temp);
  if (linkat (from_dir, from, share->temp_fd, temp, 0) == 0)
    return 0;
  if (errno != EEXIST)
    return -errno;
  fd_temp_name (temp);
  return linkat (from_dir, from, share->temp_fd, temp, 0) < 0 ? -errno : 0;
}

/* Is the name @name on the inode @ino? gc may have taken one object from its slot, and somebody
 * published another one there. */
static bool is_on (int dir_fd, const char *name, uint64_t ino)
{
  struct stat st;

  return fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == ino;
}

/* The name becomes a link to the inode of @from: a temporary link, renamed over it. With @ino only
 * when that is still the inode, else ESTALE; it is linked as @keep_link, which may be NULL, first
 * then, and is known to be another than that of the name. */
static int replace_by_link (struct share *share, int from_dir, const char *from, uint64_t ino,
                            const char *keep_link, int dir_fd, const char *name)
{
  char temp[FD_TEMP_NAME_SIZE];
  int ret = link_temp (share, from_dir, from, temp);

  if (ret < 0)
    return ret;
  if (ino && !is_on (share->temp_fd, temp, ino))
    ret = -ESTALE;
  else if ((keep_link && linkat (share->temp_fd, temp, share->temp_fd, keep_link, 0) < 0) ||
           renameat (share->temp_fd, temp, dir_fd, name) < 0)
    ret = -errno;
  /* rename() onto another name of the same inode does nothing and leaves the temporary name. An
   * error here must not say that the name is as it was; the directory is swept later. */
  if (ret < 0 || !ino)
    unlinkat (share->temp_fd, temp, 0);
  return ret;
}

static bool share_has (const struct share *share, uint64_t ino)
{
  pthread_rwlock_rdlock (&share->store->locks->tables);
  bool has = u64set_has (share->inodes, ino);
  pthread_rwlock_unlock (&share->store->locks->tables);
  return has;
}

static void share_add (const struct share *share, uint64_t ino)
{
  pthread_rwlock_wrlock (&share->store->locks->tables);
  u64set_add (share->inodes, ino);
  pthread_rwlock_unlock (&share->store->locks->tables);
}

/* The file becomes an object, if the slot is empty. Returns 1, or 0 with the stat of the slot that
 * is not empty. */
static int publish (const struct share *share, const struct share_file *file, int fan,
                    const char *object, struct stat *ret_st, struct err *err)
{
  for (int attempt = 0;; attempt++) {
    if (fstatat (fan, object, ret_st, AT_SYMLINK_NOFOLLOW) == 0)
      return 0;
    if (errno != ENOENT)
      return err_errno (err, "stat the object store/%02x/%s", file->id->bytes[0], object);
    if (verity_enable (share->store, file->dir_fd, file->name, file->st->st_mode, err) < 0)
      return err_wrap (err, "publish %s", file->name);
    if (linkat (file->dir_fd, file->name, fan, object, 0) == 0) {
      share_add (share, file->st->st_ino);
      store_note (share->store, file->st, /* hashed= */ true);
      return 1;
    }
    /* Another process published it, or gc removed it, in between: look again. */
    if (errno != EEXIST || attempt > 100)
      return err_errno (err, "publish %s as store/%02x/%s", file->name, file->id->bytes[0], object);
  }
}

enum { SLOT_DONE = 1, SLOT_NEXT = 0, SLOT_AGAIN = 2 };

/* The object in a slot, inode @ino, is not the same as the file that is to share with it. Either
 * the file changed since it was hashed, or the object is damaged, and goes to quarantine. Returns
 * SLOT_AGAIN, as the slot is to be looked at again, or negative. */
static int judge (const struct share *share, const struct share_file *file, unsigned slot,
                  uint64_t ino, struct err *err)
{
  struct store *store = share->store;
  /* That of the store may be another thread's. */
  autohasher struct hasher *hasher = hasher_new ();
  autofree char *quarantined = NULL;
  char object[SLOT_NAME_SIZE];
  struct digest id, now;
  int fan = store_fan (store, file->id, err);

  if (fan < 0)
    return fan;
  slot_name (file->id, slot, object);
  if (identity_of (hasher, file->dir_fd, file->name, file->flags, &id, NULL, err) < 0)
    return -err->code;
  /* Damage that the file system itself sees, as with fs-verity, cannot be read. */
  bool readable = identity_of (hasher, fan, object, file->flags, &now, NULL, err) == 0;
  if (!readable && err->code != EIO)
    return -err->code;
  if (!readable)
    err_release (err);
  if (!digest_equal (&id, file->id) || (readable && digest_equal (&now, file->id)))
    return err_code (err, ESTALE, "it changed while it was compared with store/%02x/%s",
                     file->id->bytes[0], object);
  int moved = quarantine_object (store, file->id, slot, ino, &quarantined, err);
  if (moved < 0)
    return err_wrap (err, "the object store/%02x/%s is not what its name says", file->id->bytes[0],
                     object);
  if (!moved)
    return SLOT_AGAIN;
  autofree char *text =
      xasprintf ("the object store/%02x/%s was damaged, and is now store/" QUARANTINE_NAME
                 "/%s: `vstore fsck` tells who uses it, `vstore fsck --repair` repairs what can be",
                 file->id->bytes[0], object, quarantined);
  pthread_rwlock_wrlock (&store->locks->tables);
  store->damaged++;
  if (store->on_damage)
    store->on_damage (text);
  pthread_rwlock_unlock (&store->locks->tables);
  return SLOT_AGAIN;
}

/* Equal contents, by what this process has seen itself? Returns SLOT_DONE, SLOT_AGAIN when the slot
 * has another object by now, or negative. */
static int check_equal (const struct share *share, const struct share_file *file, int fan,
                        const char *object, unsigned slot, const struct stat *st, struct err *err)
{
  pthread_rwlock_rdlock (&share->store->locks->tables);
  bool hashed = u64set_has (&share->store->hashed, st->st_ino);
  pthread_rwlock_unlock (&share->store->locks->tables);
  if (hashed)
    return SLOT_DONE;
  int same = identity_same (file->dir_fd, file->name, fan, object, file->flags, err);
  if (same < 0 && !is_on (fan, object, st->st_ino))
    return SLOT_AGAIN;
  if (same < 0 && err->code == EIO) {
    err_release (err);
    return judge (share, file, slot, st->st_ino, err);
  }
  if (same < 0)
    return err_wrap (err, "compare with store/%02x/%s", file->id->bytes[0], object);
  if (!same)
    return judge (share, file, slot, st->st_ino, err);
  store_note (share->store, st, /* hashed= */ true);
  return SLOT_DONE;
}

/* One slot, tried. Returns SLOT_DONE, SLOT_NEXT when the next slot is to be tried, SLOT_AGAIN when
 * gc took the object meanwhile, or it went to quarantine, negative on errors. */
static int try_slot (struct share *share, const struct share_file *file, unsigned slot,
                     enum share_outcome *ret_outcome, uint64_t *ret_ino, struct err *err)
{
  char object[SLOT_NAME_SIZE];
  struct stat st = {0};
  int fan = store_fan (share->store, file->id, err);

  if (fan < 0)
    return fan;
  slot_name (file->id, slot, object);
  int published = publish (share, file, fan, object, &st, err);
  if (published < 0)
    return published;
  if (published || st.st_ino == file->st->st_ino) {
    *ret_outcome = published ? SHARE_PUBLISHED : SHARE_ALREADY;
    *ret_ino = file->st->st_ino;
    return SLOT_DONE;
  }
  if (share_has (share, st.st_ino) || st.st_nlink >= STORE_LINKS_MAX)
    return SLOT_NEXT;
  int equal = check_equal (share, file, fan, object, slot, &st, err);
  if (equal != SLOT_DONE)
    return equal;
  int ret =
      replace_by_link (share, fan, object, st.st_ino, file->keep_link, file->dir_fd, file->name);
  /* The group stays where it is. A link that says otherwise, if it cannot be removed, must not be
   * followed to an inode that another file of the tree got in the meantime. */
  if (ret < 0 && file->keep_link && unlinkat (share->temp_fd, file->keep_link, 0) < 0 &&
      errno != ENOENT)
    share_add (share, st.st_ino);
  if (ret == -EMLINK)
    return SLOT_NEXT;
  if (ret < 0 && !is_on (fan, object, st.st_ino))
    return SLOT_AGAIN;
  if (ret < 0) {
    errno = -ret;
    return err_errno (err, "link %s to store/%02x/%s", file->name, file->id->bytes[0], object);
  }
  share_add (share, st.st_ino);
  *ret_outcome = SHARE_LINKED;
  *ret_ino = st.st_ino;
  return SLOT_DONE;
}

/* From here on slots are remembered, for trees with many equal files; most have none. */
enum { SLOT_FAR = 4 };

/* The k-th equal file of a tree goes to slot k. */
static unsigned first_slot (const struct share *share, const struct digest *id)
{
  pthread_rwlock_rdlock (&share->store->locks->tables);
  const uint64_t *next =
      share->next_slot.count ? u64table_get (&share->next_slot, digest_key (id)) : NULL;
  unsigned slot = next ? (unsigned) *next : 0;
  pthread_rwlock_unlock (&share->store->locks->tables);
  return slot;
}

static void note_slot (struct share *share, const struct digest *id, unsigned slot)
{
  if (slot < SLOT_FAR)
    return;
  pthread_rwlock_wrlock (&share->store->locks->tables);
  *u64table_put (&share->next_slot, digest_key (id), NULL) = slot;
  pthread_rwlock_unlock (&share->store->locks->tables);
}

static int choose_slot (struct share *share, const struct share_file *file,
                        enum share_outcome *ret_outcome, uint64_t *ret_ino, struct err *err)
{
  for (unsigned slot = first_slot (share, file->id);; slot++) {
    int ret = try_slot (share, file, slot, ret_outcome, ret_ino, err);

    if (ret < 0)
      return ret;
    if (ret == SLOT_AGAIN) {
      err_release (err);
      slot--;
    } else if (ret == SLOT_DONE) {
      note_slot (share, file->id, slot + (*ret_outcome != SHARE_ALREADY));
      return 0;
    }
  }
}

int store_share (struct share *share, const struct share_file *file,
                 enum share_outcome *ret_outcome, uint64_t *ret_ino, struct err *err)
{
  pthread_mutex_t *stripe = &share->store->locks->stripes[file->id->bytes[1] % STORE_STRIPES];
  struct share_file known = *file;
  struct stat st = {0};

  if (!file->st) {
    if (fstatat (file->dir_fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", file->name);
    known.st = &st;
  }
  /* Two equal files of one tree must not take the same slot. */
  pthread_mutex_lock (stripe);
  int ret = choose_slot (share, &known, ret_outcome, ret_ino, err);
  pthread_mutex_unlock (stripe);
  return ret;
}

int store_join (struct share *share, int from_dir, const char *from, int dir_fd, const char *name,
                struct err *err)
{
  int ret = replace_by_link (share, from_dir, from, 0, NULL, dir_fd, name);

  if (ret < 0) {
    errno = -ret;
    return err_errno (err, "link %s to %s", name, from);
  }
  return 0;
}

/* Links an object, when it is equal to @from, as @partner in share->temp_fd. Returns SLOT_DONE,
 * SLOT_NEXT, SLOT_AGAIN when gc took it meanwhile, or negative. */
static int take_object (struct share *share, int fan, const char *object, uint64_t ino,
                        int from_dir, const char *from, const char *partner, struct err *err)
{
  int same = identity_same (from_dir, from, fan, object, 0, err);

  if (same < 0 && is_on (fan, object, ino))
    return same;
  if (same < 0) {
    err_release (err);
    return SLOT_AGAIN;
  }
  if (!same)
    return SLOT_NEXT;
  if (linkat (fan, object, share->temp_fd, partner, 0) < 0)
    return errno == ENOENT ? SLOT_AGAIN : SLOT_NEXT;
  if (!is_on (share->temp_fd, partner, ino)) {
    unlinkat (share->temp_fd, partner, 0);
    return SLOT_AGAIN;
  }
  share_add (share, ino);
  return SLOT_DONE;
}

/* Finds or makes an equal inode that is not full; leaves it as @partner in share->temp_fd. */
static int make_partner (struct share *share, int from_dir, const char *from, const char *partner,
                         struct err *err)
{
  struct stat st;
  struct digest id;
  char object[SLOT_NAME_SIZE];

  if (fstatat (from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", from);
  if (!identity_can_share (&st))
    return copy_inode (from_dir, from, &st, -1, NULL, share->temp_fd, partner, err);
  if (identity_of (share->store->hasher, from_dir, from, 0, &id, NULL, err) < 0)
    return -err->code;
  int fan = store_fan (share->store, &id, err);
  if (fan < 0)
    return fan;
  for (unsigned slot = 0;; slot++) {
    struct stat slot_st;
    int has = store_stat_slot (share->store, &id, slot, &slot_st, err);

    if (has < 0)
      return has;
    slot_name (&id, slot, object);
    if (has) {
      if (share_has (share, slot_st.st_ino) || slot_st.st_nlink >= STORE_LINKS_MAX)
        continue;
      int taken = take_object (share, fan, object, slot_st.st_ino, from_dir, from, partner, err);
      if (taken < 0)
        return taken;
      if (taken == SLOT_DONE)
        return 0;
      slot -= taken == SLOT_AGAIN;
      continue;
    }
    if (copy_inode (from_dir, from, &st, -1, NULL, share->temp_fd, partner, err) < 0)
      return -err->code;
    if (verity_enable (share->store, share->temp_fd, partner, st.st_mode, err) < 0) {
      unlinkat (share->temp_fd, partner, 0);
      return err_wrap (err, "publish a copy of %s", from);
    }
    if (linkat (share->temp_fd, partner, fan, object, 0) == 0) {
      if (fstatat (fan, object, &slot_st, AT_SYMLINK_NOFOLLOW) == 0)
        share_add (share, slot_st.st_ino);
      return 0;
    }
    if (errno != EEXIST)
      return err_errno (err, "publish a copy of %s", from);
    unlinkat (share->temp_fd, partner, 0); /* somebody was faster: look at this slot again */
    slot--;
  }
}

int store_clone_full (struct share *share, int from_dir, const char *from, int dir_fd,
                      const char *name, struct err *err)
{
  char partner[40];
  struct stat st;

  if (fstatat (from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", from);
  snprintf (partner, sizeof partner, STORE_PARTNER "%" PRIu64, (uint64_t) st.st_ino);
  if (linkat (share->temp_fd, partner, dir_fd, name, 0) == 0)
    return 0;
  if (errno != ENOENT)
    return err_errno (err, "link %s", name);
  if (make_partner (share, from_dir, from, partner, err) < 0)
    return -err->code;
  if (linkat (share->temp_fd, partner, dir_fd, name, 0) < 0)
    return err_errno (err, "link %s", name);
  return 0;
}
