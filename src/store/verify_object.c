/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at one object. */
#include "store_internal.h"
#include "util/metaentry.h"
#include "util/fd.h"
#include "verify_internal.h"
#include <sys/uio.h>

bool parts_have_forms (const struct xattrs *xattrs)
{
  bool is_entry = metaentry_is_marked (xattrs);

  for (size_t i = 0; i < xattrs->count; i++)
    if (xattr_is_overlay (xattrs->items[i].name) &&
        !(is_entry && metaentry_has_attribute (xattrs->items[i].name)))
      return true;
  return false;
}

bool parts_may_be_entry (struct hasher *hasher, const struct identity_parts *parts,
                         const struct digest *id)
{
  static const unsigned flags[] = {IDENTITY_ENTRY, IDENTITY_ENTRY | IDENTITY_ANY_MTIME};
  struct digest digest;

  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    identity_combine (hasher, &parts->st, &parts->xattrs, &parts->contents, flags[i], &digest);
    if (digest_equal (&digest, id))
      return true;
  }
  return false;
}

/* Reads a regular file and leaves the page cache as it was. */
static int read_file (struct hasher *hasher, int dir_fd, const char *name,
                      struct identity_parts *ret_parts, struct err *err)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  char first;
  struct iovec vector = {&first, 1};

  if (fd < 0)
    return err_errno (err, "open it");
  bool cold = preadv2 (fd, &vector, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN;
  if (cold)
    posix_fadvise (fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  int ret = identity_parts_of_fd (hasher, fd, ret_parts, err);
  if (cold)
    posix_fadvise (fd, 0, 0, POSIX_FADV_DONTNEED);
  return ret;
}

int parts_read (struct hasher *hasher, int dir_fd, const char *name, const struct stat *st,
                struct identity_parts *ret_parts, struct err *err)
{
  return S_ISREG (st->st_mode) ? read_file (hasher, dir_fd, name, ret_parts, err)
                               : identity_parts_of (hasher, dir_fd, name, ret_parts, err);
}

int store_is_object (struct hasher *hasher, int dir_fd, const char *name, const struct digest *id,
                     struct err *err)
{
  autoidentityparts struct identity_parts parts = {0};
  autoxattrs struct xattrs xattrs = {0};
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  if (!identity_can_share (&st))
    return 0;
  if (parts_read (hasher, dir_fd, name, &st, &parts, err) < 0 ||
      xattrs_read (-1, dir_fd, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  return !parts_have_forms (&xattrs) && parts_are (hasher, &parts, &parts.st, id) &&
         (!metaentry_is_marked (&xattrs) || parts_may_be_entry (hasher, &parts, id));
}

int store_verify_again (struct store *store, const struct damage *damage, struct err *err)
{
  struct stat st;
  char name[SLOT_NAME_SIZE];
  int fan = store_fan (store, &damage->id, err);
  int has = fan < 0 ? fan : store_stat_slot (store, &damage->id, damage->slot, &st, err);

  if (has <= 0 || st.st_ino != damage->ino)
    return has < 0 ? has : 0;
  slot_name (&damage->id, damage->slot, name);
  int good = store_is_object (store->hasher, fan, name, &damage->id, err);
  /* What cannot be read is damaged. */
  if (good < 0)
    err_release (err);
  return good <= 0;
}
