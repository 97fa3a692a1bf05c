/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unshift.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/u64table.h"
#include "util/xattr.h"
#include <endian.h>
#include <linux/capability.h>

enum {
  NOBODY = 65534,
  RANGE = 65536, /* of one container of nspawn */
  /* linux/posix_acl_xattr.h, linux/posix_acl.h */
  ACL_VERSION = 2,
  ACL_TAG_USER = 0x02,
  ACL_TAG_GROUP = 0x08,
  ACL_HEADER = 4,
  ACL_ENTRY = 8,
};

void unshift_pick (struct translation *translation, const struct stat *top)
{
  uint32_t start = top->st_uid & ~(uint32_t) (RANGE - 1);
  const struct idmap map = {.users = true, .groups = true, .host = start, .count = RANGE};

  if (translation->pick_ids && start && (top->st_gid & ~(uint32_t) (RANGE - 1)) == start)
    translation_idmap (translation, "PrivateUsers", "pick", &map);
}

bool unshift_needed (const struct translation *translation)
{
  for (size_t i = 0; i < translation->idmap_count; i++)
    if (translation->idmaps[i].guest != translation->idmaps[i].host)
      return true;
  return false;
}

uint32_t unshift_id (const struct translation *translation, uint32_t id, bool group)
{
  for (size_t i = 0; i < translation->idmap_count; i++) {
    const struct idmap *map = &translation->idmaps[i];

    if ((group ? map->groups : map->users) && id >= map->host && id - map->host < map->count)
      return map->guest + (id - map->host);
  }
  return UINT32_MAX;
}

static uint32_t own_id (const struct translation *translation, uint32_t id, bool group)
{
  uint32_t own = unshift_id (translation, id, group);

  return own == UINT32_MAX ? NOBODY : own;
}

static uint32_t get_u32 (const unsigned char *at)
{
  uint32_t value;

  memcpy (&value, at, sizeof value);
  return le32toh (value);
}

static void put_u32 (unsigned char *at, uint32_t value)
{
  value = htole32 (value);
  memcpy (at, &value, sizeof value);
}

bool unshift_acl (const struct translation *translation, void *value, size_t len)
{
  unsigned char *bytes = value;

  if (len < ACL_HEADER || (len - ACL_HEADER) % ACL_ENTRY || get_u32 (bytes) != ACL_VERSION)
    return false;
  for (size_t at = ACL_HEADER; at < len; at += ACL_ENTRY) {
    unsigned tag = bytes[at] | (unsigned) bytes[at + 1] << 8;

    if (tag == ACL_TAG_USER || tag == ACL_TAG_GROUP)
      put_u32 (bytes + at + 4,
               own_id (translation, get_u32 (bytes + at + 4), tag == ACL_TAG_GROUP));
  }
  return true;
}

bool unshift_capability (const struct translation *translation, void *value, size_t *len)
{
  unsigned char *bytes = value;

  if (*len < XATTR_CAPS_SZ_1)
    return false;
  uint32_t magic = get_u32 (bytes);
  if ((magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3)
    return true; /* they are the host root's */
  if (*len != XATTR_CAPS_SZ_3)
    return false;
  uint32_t root = unshift_id (translation, get_u32 (bytes + XATTR_CAPS_SZ_2), /* group= */ false);
  if (root) {
    put_u32 (bytes + XATTR_CAPS_SZ_2, root == UINT32_MAX ? NOBODY : root);
    return true;
  }
  put_u32 (bytes, VFS_CAP_REVISION_2 | (magic & VFS_CAP_FLAGS_EFFECTIVE));
  *len = XATTR_CAPS_SZ_2;
  return true;
}

struct walk {
  const struct translation *translation;
  struct u64table done; /* owned: inodes with several names */
  uint64_t foreign;
};

static int shift_xattrs (const struct walk *walk, struct xattrs *xattrs, const char *name,
                         struct err *err)
{
  for (size_t i = 0; i < xattrs->count; i++) {
    struct xattr *xattr = &xattrs->items[i];
    bool good = true;

    if (strncmp (xattr->name, "system.posix_acl_", 17) == 0)
      good = unshift_acl (walk->translation, xattr->value, xattr->len);
    else if (strcmp (xattr->name, "security.capability") == 0)
      good = unshift_capability (walk->translation, xattr->value, &xattr->len);
    if (!good)
      return err_code (err, EINVAL, "%s has an attribute %s that is not understood", name,
                       xattr->name);
  }
  return 0;
}

/* The owner first: a change of it takes set-id bits and capabilities away. */
static int shift_one (struct walk *walk, int dir_fd, const char *name, const struct stat *st,
                      struct err *err)
{
  autoxattrs struct xattrs xattrs = {0};
  uint32_t uid = unshift_id (walk->translation, st->st_uid, /* group= */ false);
  uint32_t gid = unshift_id (walk->translation, st->st_gid, /* group= */ true);

  walk->foreign += uid == UINT32_MAX || gid == UINT32_MAX;
  if (xattrs_read (-1, dir_fd, name, /* with_overlay= */ false, &xattrs, err) < 0 ||
      shift_xattrs (walk, &xattrs, name, err) < 0)
    return -err->code;
  if (fchownat (dir_fd, name, uid == UINT32_MAX ? NOBODY : uid, gid == UINT32_MAX ? NOBODY : gid,
                AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "change the owner of %s", name);
  /* No symlink: it is our copy, which nobody else can change. */
  if (!S_ISLNK (st->st_mode) && fchmodat (dir_fd, name, st->st_mode & 07777, 0) < 0)
    return err_errno (err, "set the mode of %s", name);
  return xattrs_apply (-1, dir_fd, name, &xattrs, err);
}

static int walk_dir (struct walk *walk, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    bool is_new = true;
    struct stat st;

    if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s", name);
    if (S_ISDIR (st.st_mode)) {
      autoclose int child = fd_open_dir (fd, name);

      if (child < 0)
        return err_errno (err, "open the directory %s", name);
      if (walk_dir (walk, child, err) < 0)
        return err_wrap (err, "%s", name);
    } else if (st.st_nlink > 1) {
      u64table_put (&walk->done, st.st_ino, &is_new);
    }
    if (is_new && shift_one (walk, fd, name, &st, err) < 0)
      return -err->code;
  }
  return 0;
}

int unshift_tree (int fd, const struct translation *translation, uint64_t *ret_foreign,
                  struct err *err)
{
  struct walk walk = {.translation = translation};
  autoclose int top = fd_open_dir (fd, ".");
  struct stat st;

  if (top < 0 || fstat (top, &st) < 0)
    return err_errno (err, "open the copy");
  int ret = walk_dir (&walk, top, err);
  if (ret == 0)
    ret = shift_one (&walk, top, ".", &st, err);
  u64table_release (&walk.done);
  if (ret < 0)
    return err_wrap (err, "shift the ids back");
  *ret_foreign = walk.foreign;
  return 0;
}
