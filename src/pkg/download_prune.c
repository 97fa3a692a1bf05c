/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "download_internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/lock.h"
#include <time.h>

struct prune {
  int64_t before_s; /* what was used last before then goes */
  bool dry_run;
  struct pkgcache_pruned pruned;
};

static bool is_part (const char *name)
{
  const char *dot = strrchr (name, '.');

  return dot && strcmp (dot, ".part") == 0;
}

static int prune_entry (struct prune *prune, int dir_fd, const char *name, struct err *err)
{
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s in the package cache", name);
  int64_t used = is_part (name) ? st.st_mtim.tv_sec : pkgcache_last_use (dir_fd, name, &st);
  if (!S_ISREG (st.st_mode) || used >= prune->before_s)
    return 0;
  if (!prune->dry_run && unlinkat (dir_fd, name, 0) < 0)
    return err_errno (err, "remove %s from the package cache", name);
  prune->pruned.files++;
  if (st.st_nlink == 1)
    prune->pruned.bytes += (uint64_t) st.st_blocks * 512;
  return 0;
}

static int prune_dir (struct prune *prune, int fd, const char *name, struct err *err)
{
  autoclose int dir = fd_open_dir (fd, name);
  autodirlist struct dirlist list = {0};

  if (dir < 0)
    return err_errno (err, "open %s in the package cache", name);
  if (dirread_all (dir, &list, err) < 0)
    return err_wrap (err, "the package cache");
  for (size_t i = 0; i < list.count; i++)
    if (prune_entry (prune, dir, list.items[i].name, err) < 0)
      return -err->code;
  return 0;
}

int pkgcache_prune (struct vroot *root, unsigned days, bool dry_run,
                    struct pkgcache_pruned *ret_pruned, struct err *err)
{
  struct prune prune = {
      .before_s = days ? (int64_t) time (NULL) - (int64_t) days * 24 * 3600 : INT64_MAX,
      .dry_run = dry_run,
  };
  const struct lock_how how = {.rank = LOCK_RANK_CACHE, .mode = LOCK_EXCLUSIVE, .no_wait = true};
  autodirlist struct dirlist list = {0};
  autoclose int fd = -1, lock = -1;

  *ret_pruned = prune.pruned;
  if (pkgcache_open_dir (root, &fd, err) < 0)
    return -err->code;
  if (lock_acquire (fd, "lock", &how, "the package cache", &lock, err) < 0) {
    if (err->code != ERR_LOCKED)
      return -err->code;
    err_release (err);
    return 0;
  }
  if (dirread_all (fd, &list, err) < 0)
    return err_wrap (err, "the package cache");
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR && prune_dir (&prune, fd, list.items[i].name, err) < 0)
      return -err->code;
  *ret_pruned = prune.pruned;
  return 1;
}
