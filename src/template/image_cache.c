/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_cache.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/lock.h"
#include <time.h>

static const char lock_name[] = "lock";

static int open_dir (struct vroot *root, int *ret_fd, struct err *err)
{
  autoclose int cache = fd_make_dir (root->fd, "cache", 0700);
  int fd = cache < 0 ? -1 : fd_make_dir (cache, "images", 0700);

  if (fd < 0)
    return err_errno (err, "open %s/cache/images", root->path);
  *ret_fd = fd;
  return 0;
}

int image_cache_open (struct vroot *root, struct image_cache *ret_cache, struct err *err)
{
  const struct lock_how how = root_lock_how (root, LOCK_RANK_CACHE, LOCK_SHARED);
  autoimagecache struct image_cache cache = IMAGE_CACHE_INIT;

  for (size_t i = 0; i < IMAGE_CACHE_SHARDS; i++)
    cache.shards[i] = -1;
  if (open_dir (root, &cache.fd, err) < 0 ||
      lock_acquire (cache.fd, lock_name, &how, "the cache of images", &cache.lock_fd, err) < 0)
    return -err->code;
  *ret_cache = cache;
  cache = (struct image_cache) IMAGE_CACHE_INIT;
  return 0;
}

void image_cache_close (struct image_cache *cache)
{
  int saved = errno;

  if (cache->fd >= 0) {
    for (size_t i = 0; i < IMAGE_CACHE_SHARDS; i++)
      if (cache->shards[i] >= 0)
        close (cache->shards[i]);
    close (cache->fd);
  }
  if (cache->lock_fd >= 0)
    close (cache->lock_fd);
  *cache = (struct image_cache) IMAGE_CACHE_INIT;
  errno = saved;
}

int image_cache_place (struct image_cache *cache, const struct checksum *digest, int *ret_dir_fd,
                       char name[static CHECKSUM_TEXT_SIZE], struct err *err)
{
  int *shard = &cache->shards[digest->bytes[0]];
  char hex[CHECKSUM_TEXT_SIZE], dir[3];

  snprintf (dir, sizeof dir, "%02x", digest->bytes[0]);
  if (*shard < 0)
    *shard = fd_make_dir (cache->fd, dir, 0700);
  if (*shard < 0)
    return err_errno (err, "make the directory %s of the cache of images", dir);
  checksum_hex (digest, hex);
  snprintf (name, CHECKSUM_TEXT_SIZE, "%s-%.128s", checksum_kind_name (digest->kind), hex);
  *ret_dir_fd = *shard;
  return 0;
}

int image_cache_blob (struct image_cache *cache, const struct checksum *digest, struct err *err)
{
  static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
  char name[CHECKSUM_TEXT_SIZE];
  int dir_fd;

  if (image_cache_place (cache, digest, &dir_fd, name, err) < 0)
    return -err->code;
  int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);
  if (fd < 0 && errno != ENOENT)
    return err_errno (err, "open %s of the cache of images", name);
  if (fd >= 0 && futimens (fd, times) < 0) {
    close (fd);
    return err_errno (err, "set the time of %s of the cache of images", name);
  }
  return fd;
}

int image_cache_get (struct image_cache *cache, const struct checksum *digest, char **ret_text,
                     size_t *ret_len, struct err *err)
{
  autoclose int fd = image_cache_blob (cache, digest, err);
  autofree char *text = NULL;

  if (fd < 0)
    return err->code ? -err->code : 0;
  text = xcalloc (IMAGE_DOCUMENT_MAX + 2, 1);
  ssize_t n = fd_read_full (fd, text, IMAGE_DOCUMENT_MAX + 1);
  if (n < 0 && errno != EIO)
    return err_errno (err, "read from the cache of images");
  if (n < 0 || n > IMAGE_DOCUMENT_MAX)
    return 0;
  if (image_document_verify (digest, text, (size_t) n, err) < 0) {
    err_release (err);
    return 0;
  }
  *ret_text = xreallocarray (steal_ptr (&text), (size_t) n + 1, 1);
  *ret_len = (size_t) n;
  return 1;
}

int image_cache_put (struct image_cache *cache, const struct checksum *digest, const char *text,
                     size_t len, struct err *err)
{
  char name[CHECKSUM_TEXT_SIZE], temp[FD_TEMP_NAME_SIZE];
  int dir_fd;

  if (image_cache_place (cache, digest, &dir_fd, name, err) < 0)
    return -err->code;
  fd_temp_name (temp);
  autoclose int fd = fd_open (dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (fd < 0 || fd_write_all (fd, text, len) < 0 || renameat (dir_fd, temp, dir_fd, name) < 0) {
    err_errno (err, "write %s of the cache of images", name);
    if (fd >= 0)
      unlinkat (dir_fd, temp, 0);
    return -err->code;
  }
  return 0;
}

static int prune_dir (int dir_fd, time_t before, bool dry_run, struct image_cache_pruned *pruned,
                      struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (dir_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    struct stat st;

    if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "stat %s of the cache of images", name);
    if (st.st_mtim.tv_sec >= before)
      continue;
    if (!dry_run && unlinkat (dir_fd, name, 0) < 0)
      return err_errno (err, "remove %s of the cache of images", name);
    pruned->files++;
    pruned->bytes += (uint64_t) st.st_blocks * 512;
  }
  return 0;
}

int image_cache_prune (struct vroot *root, unsigned days, bool dry_run,
                       struct image_cache_pruned *ret_pruned, struct err *err)
{
  time_t before = days ? time (NULL) - (time_t) days * 24 * 3600 : INT64_MAX;
  const struct lock_how how = {.rank = LOCK_RANK_CACHE, .mode = LOCK_EXCLUSIVE, .no_wait = true};
  struct image_cache_pruned pruned = {0};
  autodirlist struct dirlist list = {0};
  autoclose int fd = -1, lock_fd = -1;

  *ret_pruned = pruned;
  fd = fd_open_dir_beneath (root->fd, "cache/images");
  if (fd < 0 && errno == ENOENT)
    return 1;
  if (fd < 0)
    return err_errno (err, "open %s/cache/images", root->path);
  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  int ret = lock_acquire (fd, lock_name, &how, "the cache of images", &lock_fd, err);
  if (ret == -ERR_LOCKED) {
    err_release (err);
    return 0;
  }
  if (ret < 0)
    return ret;
  for (size_t i = 0; i < list.count; i++) {
    autoclose int dir_fd = list.items[i].type == DT_DIR ? fd_open_dir (fd, list.items[i].name) : -1;

    if (dir_fd >= 0 && prune_dir (dir_fd, before, dry_run, &pruned, err) < 0)
      return -err->code;
  }
  *ret_pruned = pruned;
  return 1;
}
