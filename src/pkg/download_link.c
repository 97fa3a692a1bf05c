/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "download_internal.h"
#include "util/fd.h"

/* Opens the file, seen to be good. */
static int open_good (struct pkgcache *cache, const struct pkgcache_file *file, int *ret_dir_fd,
                      char name[static CHECKSUM_TEXT_SIZE], int *ret_fd, struct stat *ret_st,
                      struct err *err)
{
  enum pkgcache_check check = PKGCACHE_ABSENT;
  autofree char *shown = pkg_file_for_people (file);

  if (pkgcache_place (cache, &file->digest, ret_dir_fd, name, err) < 0 ||
      pkgcache_check (*ret_dir_fd, name, &file->digest, &check, ret_fd, ret_st, err) < 0)
    return err_wrap (err, "%s", shown);
  if (*ret_fd < 0)
    return err_code (err, ESTALE, "%s: the cached package %s %s: fetch it again", shown, name,
                     check == PKGCACHE_BAD ? "was damaged and has been removed" : "is gone");
  return 0;
}

static int copy (int from, const struct stat *st, int dir_fd, const char *name, struct err *err)
{
  autoclose int to = fd_open (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

  if (to < 0)
    return err_errno (err, "create %s", name);
  if (fd_copy_contents (from, to, st->st_size) < 0 || fchmod (to, 0644) < 0) {
    err_errno (err, "copy a package to %s", name);
    unlinkat (dir_fd, name, 0);
    return -err->code;
  }
  return 0;
}

/* Is @name the inode that was checked? */
static bool is_inode (int dir_fd, const char *name, const struct stat *st)
{
  struct stat there;

  return fstatat (dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == st->st_ino &&
         there.st_dev == st->st_dev;
}

int pkgcache_link (struct pkgcache *cache, const struct pkgcache_file *file, int dir_fd,
                   const char *name, struct err *err)
{
  char cached[CHECKSUM_TEXT_SIZE];
  struct stat st = {0};
  autoclose int fd = -1;
  int cache_fd = -1;

  if (open_good (cache, file, &cache_fd, cached, &fd, &st, err) < 0)
    return -err->code;
  if (linkat (cache_fd, cached, dir_fd, name, 0) < 0) {
    if (errno == EMLINK || errno == EXDEV)
      return copy (fd, &st, dir_fd, name, err);
    return err_errno (err, "link the cached package %s to %s", cached, name);
  }
  if (!is_inode (dir_fd, name, &st)) {
    unlinkat (dir_fd, name, 0);
    return err_code (err, ESTALE, "%s: the cached package %s was replaced meanwhile: try again",
                     name, cached);
  }
  pkgcache_record (fd, &st, PKGCACHE_WAS_LINKED);
  return 0;
}

int pkgcache_open_file (struct pkgcache *cache, const struct pkgcache_file *file, int *ret_fd,
                        struct err *err)
{
  char cached[CHECKSUM_TEXT_SIZE];
  struct stat st = {0};
  int cache_fd = -1;

  return open_good (cache, file, &cache_fd, cached, ret_fd, &st, err);
}
