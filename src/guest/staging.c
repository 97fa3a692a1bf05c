/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locked directories to build in. */
#include "collect.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/progress.h"
#include <sys/file.h>

int staging_make (struct vroot *root, const char *kind, struct staging *ret_staging,
                  struct err *err)
{
  struct staging staging = {.root = root, .fd = -1};
  char temp[FD_TEMP_NAME_SIZE];

  for (;;) {
    struct stat by_fd, by_name;

    fd_temp_name (temp);
    snprintf (staging.name, sizeof staging.name, "%.30s-%s", kind, temp + strlen (".vg-"));
    if (mkdirat (root->staging_fd, staging.name, 0700) < 0)
      return err_errno (err, "make the directory staging/%s", staging.name);
    staging.fd = fd_open_dir (root->staging_fd, staging.name);
    if (staging.fd < 0 && errno == ENOENT)
      continue;
    if (staging.fd < 0)
      return err_errno (err, "open staging/%s", staging.name);
    if (flock (staging.fd, LOCK_EX) < 0) {
      err_errno (err, "lock staging/%s", staging.name);
      close (staging.fd);
      return -err->code;
    }
    /* A sweep may have taken it between mkdir and flock: make another one then. */
    if (fstat (staging.fd, &by_fd) == 0 &&
        fstatat (root->staging_fd, staging.name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
        by_fd.st_ino == by_name.st_ino)
      break;
    close (staging.fd);
  }
  *ret_staging = staging;
  return 0;
}

int staging_remove (struct staging *staging, struct err *err)
{
  int ret = 0;

  if (!staging->root)
    return 0;
  ret = fd_remove_tree (staging->root->staging_fd, staging->name, err);
  close (staging->fd);
  *staging = (struct staging){.fd = -1};
  return ret;
}

void staging_leave (struct staging *staging)
{
  if (staging->root)
    close (staging->fd);
  *staging = (struct staging){.fd = -1};
}

void staging_drop (struct staging *staging)
{
  int saved = errno;
  autoerr struct err err = {0};

  if (staging_remove (staging, &err) < 0)
    err_release (&err);
  errno = saved;
}

int staging_sweep (struct vroot *root, struct err *err)
{
  autodirlist struct dirlist list = {0};
  bool swept = false;

  if (dirread_all (root->staging_fd, &list, err) < 0)
    return err_wrap (err, "staging");
  for (size_t i = 0; i < list.count; i++) {
    autoclose int fd = fd_open_dir (root->staging_fd, list.items[i].name);

    if (fd < 0 && errno == ENOENT)
      continue;
    if (fd >= 0 && flock (fd, LOCK_EX | LOCK_NB) < 0)
      continue; /* somebody is building there */
    /* The note comes first: a crash in the middle of the removal must not lose it. */
    if (!swept && root_want_gc (root, err) < 0)
      return -err->code;
    swept = true;
    if (strncmp (list.items[i].name, STAGING_GC "-", strlen (STAGING_GC "-")) == 0 && fd >= 0 &&
        store_gc_sweep (root->store, fd, err) < 0)
      return err_wrap (err, "sweep staging");
    if (fd_remove_tree (root->staging_fd, list.items[i].name, err) < 0)
      return err_wrap (err, "sweep staging");
  }
  return 0;
}
