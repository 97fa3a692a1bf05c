/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verity.h"
#include "store_internal.h"
#include "util/metaentry.h"
#include "util/fd.h"
#include <linux/fsverity.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#ifndef F2FS_SUPER_MAGIC
#define F2FS_SUPER_MAGIC 0xF2F52010
#endif

/* Another process that enables it for the same file is waited for so long. */
enum { BUSY_TRIES = 100, BUSY_WAIT_NS = 50 * 1000 * 1000 };
enum { BLOCK_SIZE = 4096 };

int verity_parse (const char *text, enum verity_mode *ret_mode, struct err *err)
{
  if (!text || strcmp (text, "off") == 0)
    *ret_mode = VERITY_OFF;
  else if (strcmp (text, "auto") == 0)
    *ret_mode = VERITY_AUTO;
  else if (strcmp (text, "require") == 0)
    *ret_mode = VERITY_REQUIRE;
  else
    return err_code (err, ERR_USAGE, "\"verity\": \"%.60s\" is none of off, auto, require", text);
  return 0;
}

/* The file system, and what may help. */
static int refuse (const struct store *store, struct err *err)
{
  static const struct {
    long magic;
    const char *name;
    const char *advice;
  } kinds[] = {
      {EXT4_SUPER_MAGIC, "ext4",
       "it needs \"tune2fs -O verity\" on the file system, and a kernel with CONFIG_FS_VERITY"},
      {BTRFS_SUPER_MAGIC, "btrfs", "it needs a kernel with CONFIG_FS_VERITY"},
      {F2FS_SUPER_MAGIC, "f2fs",
       "it needs mkfs.f2fs -O verity, and a kernel with CONFIG_FS_VERITY"},
      {XFS_SUPER_MAGIC, "XFS", "XFS has none: use ext4 or btrfs"},
      {TMPFS_MAGIC, "tmpfs", "tmpfs has none: use ext4 or btrfs"},
  };
  struct statfs fs = {0};

  if (fstatfs (store->fd, &fs) < 0)
    return err_errno (err, "ask for the file system of store");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (kinds[i].magic == (long) fs.f_type)
      return err_code (err, EOPNOTSUPP,
                       "the file system of the store, %s, has no fs-verity here, and \"verity\" is "
                       "\"require\" in vguest.conf: %s; or set it to \"auto\"",
                       kinds[i].name, kinds[i].advice);
  return err_code (
      err, EOPNOTSUPP,
      "the file system of the store, of type 0x%lx, has no fs-verity, and \"verity\" is "
      "\"require\" in vguest.conf: use ext4 or btrfs; or set it to \"auto\"",
      (unsigned long) fs.f_type);
}

/* Returns 0 or -errno. */
static int enable (int fd)
{
  const struct timespec wait = {.tv_nsec = BUSY_WAIT_NS};
  struct fsverity_enable_arg arg = {
      .version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = BLOCK_SIZE};

  for (int i = 0;; i++) {
    if (ioctl (fd, FS_IOC_ENABLE_VERITY, &arg) == 0 || errno == EEXIST)
      return 0;
    if (errno != EINTR && (errno != EBUSY || i >= BUSY_TRIES))
      return -errno;
    if (errno == EBUSY)
      nanosleep (&wait, NULL);
  }
}

int verity_enable (struct store *store, int dir_fd, const char *name, mode_t mode, struct err *err)
{
  if (store->verity == VERITY_OFF || !S_ISREG (mode))
    return 0;
  if (atomic_load (&store->verity_missing))
    return store->verity == VERITY_REQUIRE ? refuse (store, err) : 0;
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);
  struct stat st;
  if (fd < 0 || fstat (fd, &st) < 0)
    return err_errno (err, "open %s to enable fs-verity", name);
  /* The contents have it, which lie elsewhere. */
  int is_entry = metaentry_read (fd, -1, NULL, &st, NULL);
  if (is_entry)
    return is_entry < 0 ? err_errno (err, "read the attributes of %s", name) : 0;
  int ret = enable (fd);
  switch (-ret) {
  case 0:
    return 0;
  case ENOTTY:
  case EOPNOTSUPP:
    atomic_store (&store->verity_missing, true);
    return store->verity == VERITY_REQUIRE ? refuse (store, err) : 0;
  case ETXTBSY:
  case EBUSY:
  case EFBIG:
  case ENOKEY:
    if (store->verity == VERITY_AUTO)
      return 0;
    if (ret == -ETXTBSY)
      return err_code (err, ETXTBSY,
                       "enable fs-verity on %s: somebody has it open for writing, and \"verity\" "
                       "is \"require\" in vguest.conf",
                       name);
    break;
  default:
    break;
  }
  errno = -ret;
  return err_errno (err, "enable fs-verity on %s", name);
}

int verity_has (int dir_fd, const char *name, struct err *err)
{
  struct statx stx;

  if (statx (dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx) < 0)
    return err_errno (err, "stat %s", name);
  if (stx.stx_attributes & STATX_ATTR_VERITY)
    return 1;
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  int is_entry = metaentry_read (-1, dir_fd, name, &st, NULL);
  return is_entry < 0 ? err_errno (err, "read the attributes of %s", name) : is_entry;
}
