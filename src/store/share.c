/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How one file comes to share its inode with an object: choosing the slot, publishing, linking. */
#include "quarantine.h"
#include "store_internal.h"
#include "util/copy.h"
#include "util/fd.h"
#include <inttypes.h>

/* A gap in the slots of an object (gc removed one) does not end the search for a free one; the
 * next publish fills it. */

void share_release (struct share *share)
{
  u64table_release (&share->next_slot);
}

/* Is the name @name on the inode @ino? gc may have taken one object from its slot, and somebody
 * published another one there. */
static bool is_on (int dir_fd, const char *name, uint64_t ino)
{
  struct stat st;

  return fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == ino;
}

/* The name becomes a link to the inode of @from: a temporary link, renamed over it. With @ino only
 * when that is still the inode, else ESTALE; it is linked as share->keep_link first then. */
static int replace_by_link (struct share *share, int from_dir, const char *from, uint64_t ino,
                            int dir_fd, const char *name)
{
  char temp[FD_TEMP_NAME_SIZE];
  int ret = 0;

  fd_temp_name (temp);
  if (linkat (from_dir, from, share->temp_fd, temp, 0) < 0)
    return -errno;
  if (ino && !is_on (share->temp_fd, temp, ino))
    ret = -ESTALE;
  else if ((ino && share->keep_link &&
            linkat (share->temp_fd, temp, share->temp_fd, share->keep_link, 0) < 0) ||
           renameat (share->temp_fd, temp, dir_fd, name) < 0)
    ret = -errno;
  /* rename() onto another name of the same inode does nothing and leaves the temporary name. An
   * error here must not say that the name is as it was; the directory is swept later. */
  unlinkat (share->temp_fd, temp, 0);
  return ret;
}

enum { SLOT_DONE = 1, SLOT_NEXT = 0, SLOT_AGAIN = 2 };

/* The object in a slot, inode @ino, is not the same as the file that is to share with it. Either
 * the file changed since it was hashed, or the object is damaged, and goes to quarantine. Returns 0
 * when the slot is to be looked at again, negative on errors. */
static int judge (struct share *share, int dir_fd, const char *name, const struct digest *id,
                  unsigned slot, unsigned flags, uint64_t ino, struct err *err)
{
  struct store *store = share->store;
  autofree char *quarantined = NULL;
  char object[SLOT_NAME_SIZE];
  struct digest file, now;
  int fan = store_fan (store, id, err);

  if (fan < 0)
    return fan;
  slot_name (id, slot, object);
  if (identity_of (store->hasher, dir_fd, name, flags, &file, NULL, err) < 0 ||
      identity_of (store->hasher, fan, object, flags, &now, NULL, err) < 0)
    return -err->code;
  if (!digest_equal (&file, id) || digest_equal (&now, id))
    return err_code (err, ESTALE, "it changed while it was compared with store/%02x/%s",
                     id->bytes[0], object);
  int moved = quarantine_object (store, id, slot, ino, &quarantined, err);
  if (moved < 0)
    return err_wrap (err, "the object store/%02x/%s is not what its name says", id->bytes[0],
                     object);
  store->damaged += moved > 0;
  if (moved && store->on_damage) {
    autofree char *text = xasprintf (
        "the object store/%02x/%s was damaged, and is now store/" QUARANTINE_NAME
        "/%s: `vstore fsck` tells who uses it, `vstore fsck --repair` repairs what can be",
        id->bytes[0], object, quarantined);

    store->on_damage (text);
  }
  return 0;
}

/* One slot, tried. Returns SLOT_DONE, SLOT_NEXT when the next slot is to be tried, SLOT_AGAIN when
 * gc took the object meanwhile, or it went to quarantine, negative on errors. */
static int try_slot (struct share *share, int dir_fd, const char *name, const struct stat *own,
                     const struct digest *id, unsigned slot, unsigned flags, bool trusted,
                     enum share_outcome *ret_outcome, uint64_t *ret_ino, struct err *err)
{
  char object[SLOT_NAME_SIZE];
  struct stat st;
  int fan = store_fan (share->store, id, err);

  if (fan < 0)
    return fan;
  slot_name (id, slot, object);
  for (int attempt = 0;; attempt++) {
    if (fstatat (fan, object, &st, AT_SYMLINK_NOFOLLOW) == 0)
      break;
    if (errno != ENOENT)
      return err_errno (err, "stat the object store/%02x/%s", id->bytes[0], object);
    if (linkat (dir_fd, name, fan, object, 0) == 0) {
      u64table_put (share->inodes, own->st_ino, NULL);
      u64table_put (&share->store->inodes, own->st_ino, NULL);
      u64table_put (&share->store->sizes, (uint64_t) own->st_size, NULL);
      *ret_outcome = SHARE_PUBLISHED;
      *ret_ino = own->st_ino;
      return SLOT_DONE;
    }
    /* Another process published it, or gc removed it, in between: look again. */
    if (errno != EEXIST || attempt > 100)
      return err_errno (err, "publish %s as store/%02x/%s", name, id->bytes[0], object);
  }
  if (st.st_ino == own->st_ino) {
    *ret_outcome = SHARE_ALREADY;
    *ret_ino = own->st_ino;
    return SLOT_DONE;
  }
  if (u64table_has (share->inodes, st.st_ino) || st.st_nlink >= STORE_LINKS_MAX)
    return SLOT_NEXT;
  if (!trusted) {
    int same = identity_same (dir_fd, name, fan, object, flags, err);

    if (same < 0 && !is_on (fan, object, st.st_ino))
      return SLOT_AGAIN;
    if (same < 0)
      return err_wrap (err, "compare with store/%02x/%s", id->bytes[0], object);
    if (!same)
      return judge (share, dir_fd, name, id, slot, flags, st.st_ino, err) < 0 ? -err->code
                                                                              : SLOT_AGAIN;
  }
  int ret = replace_by_link (share, fan, object, st.st_ino, dir_fd, name);
  /* The group stays where it is. A link that says otherwise, if it cannot be removed, must not be
   * followed to an inode that another file of the tree got in the meantime. */
  if (ret < 0 && share->keep_link && unlinkat (share->temp_fd, share->keep_link, 0) < 0 &&
      errno != ENOENT)
    u64table_put (share->inodes, st.st_ino, NULL);
  if (ret == -EMLINK)
    return SLOT_NEXT;
  if (ret < 0 && !is_on (fan, object, st.st_ino))
    return SLOT_AGAIN;
  if (ret < 0) {
    errno = -ret;
    return err_errno (err, "link %s to store/%02x/%s", name, id->bytes[0], object);
  }
  u64table_put (share->inodes, st.st_ino, NULL);
  *ret_outcome = SHARE_LINKED;
  *ret_ino = st.st_ino;
  return SLOT_DONE;
}

int store_share (struct share *share, int dir_fd, const char *name, const struct digest *id,
                 unsigned flags, bool trusted, enum share_outcome *ret_outcome, uint64_t *ret_ino,
                 struct err *err)
{
  struct stat own;

  if (fstatat (dir_fd, name, &own, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  /* The k-th equal file of a tree goes to slot k: remembered, not searched for from 0 again. */
  uint64_t *next = u64table_put (&share->next_slot, digest_key (id), NULL);
  for (unsigned slot = (unsigned) *next;; slot++) {
    int ret =
        try_slot (share, dir_fd, name, &own, id, slot, flags, trusted, ret_outcome, ret_ino, err);

    if (ret < 0)
      return ret;
    if (ret == SLOT_AGAIN) {
      err_release (err);
      slot--;
    } else if (ret == SLOT_DONE) {
      *next = slot + (*ret_outcome != SHARE_ALREADY);
      return 0;
    }
  }
}

int store_join (struct share *share, int from_dir, const char *from, int dir_fd, const char *name,
                struct err *err)
{
  int ret = replace_by_link (share, from_dir, from, 0, dir_fd, name);

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
  u64table_put (share->inodes, ino, NULL);
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
      if (u64table_has (share->inodes, slot_st.st_ino) || slot_st.st_nlink >= STORE_LINKS_MAX)
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
    if (linkat (share->temp_fd, partner, fan, object, 0) == 0) {
      if (fstatat (fan, object, &slot_st, AT_SYMLINK_NOFOLLOW) == 0)
        u64table_put (share->inodes, slot_st.st_ino, NULL);
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
  snprintf (partner, sizeof partner, "clone-%" PRIu64, (uint64_t) st.st_ino);
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
