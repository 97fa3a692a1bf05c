/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects that are looked at or made outside a tree. */
#include "store_internal.h"
#include "util/fd.h"
#include "verity.h"

int store_open_object (struct store *store, const struct digest *id, struct err *err)
{
  char name[SLOT_NAME_SIZE];
  int fan = store_fan (store, id, err);

  if (fan < 0)
    return fan;
  for (unsigned slot = 0; slot < STORE_GAP_MAX; slot++) {
    slot_name (id, slot, name);
    int fd = fd_open (fan, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
    if (fd >= 0)
      return fd;
    if (errno != ENOENT)
      break;
  }
  return err_errno (err, "open the object store/%02x/%s", id->bytes[0], name);
}

int store_publish (struct store *store, const struct digest *id, int dir_fd, const char *name,
                   struct err *err)
{
  char object[SLOT_NAME_SIZE];
  struct stat st;
  int fan = store_fan (store, id, err);

  if (fan < 0)
    return fan;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  if (verity_enable (store, dir_fd, name, st.st_mode, err) < 0)
    return err_wrap (err, "publish %s", name);
  slot_name (id, 0, object);
  if (linkat (dir_fd, name, fan, object, 0) < 0) {
    if (errno == EEXIST) /* somebody was faster: equal, as the name says */
      return 0;
    return err_errno (err, "publish %s as store/%02x/%s", name, id->bytes[0], object);
  }
  store_note (store, &st, /* hashed= */ false);
  return 0;
}
