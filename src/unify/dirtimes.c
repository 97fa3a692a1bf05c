/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dirtimes.h"
#include "util/fd.h"

#define FILE_NAME "dirtimes"

void dirtimes_start (struct dirtimes *times)
{
  journal_writer_start (&times->journal);
}

void dirtimes_release (struct dirtimes *times)
{
  journal_writer_release (&times->journal);
}

int dirtimes_note (struct dirtimes *times, int fd, const char *path, struct err *err)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat the directory /%s", path);
  journal_add (&times->journal, 0, path,
               &(struct journal_step){
                   .op = 'M',
                   .layer = 't',
                   .mode = st.st_mode & 07777,
                   .uid = st.st_uid,
                   .gid = st.st_gid,
                   .mtime = st.st_mtim,
               });
  return 0;
}

int dirtimes_write (struct dirtimes *times, int temp_fd, struct err *err)
{
  if (journal_empty (&times->journal))
    return 0;
  return journal_write_alone (&times->journal, temp_fd, FILE_NAME, /* commit= */ false, err);
}

int dirtimes_set (int fd, struct timespec mtime, struct err *err)
{
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime};
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat a directory");
  /* Setting a time that it has would still change the ctime. */
  if ((st.st_mtim.tv_sec != mtime.tv_sec || st.st_mtim.tv_nsec != mtime.tv_nsec) &&
      futimens (fd, times) < 0)
    return err_errno (err, "put back the time of a directory");
  return 0;
}

struct restore {
  int tree_fd; /* borrowed */
  int dir_fd;  /* owned */
};

static int restore_step (void *data, const struct journal_step *step, struct err *err)
{
  struct restore *restore = data;

  if (step->op == 'D') {
    const char *path = strcmp (step->name, ".") == 0 ? "" : step->name;

    if (restore->dir_fd >= 0)
      close (restore->dir_fd);
    restore->dir_fd = fd_open_dir_beneath (restore->tree_fd, path);
    if (restore->dir_fd < 0)
      return err_errno (err, "open the directory /%s", path);
  } else if (step->op == 'M' && restore->dir_fd >= 0) {
    return dirtimes_set (restore->dir_fd, step->mtime, err);
  }
  return 0;
}

int dirtimes_restore (int tree_fd, int temp_fd, struct err *err)
{
  struct restore restore = {.tree_fd = tree_fd, .dir_fd = -1};

  if (faccessat (temp_fd, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "look for %s", FILE_NAME);
  int ret = journal_read (temp_fd, FILE_NAME, NULL, restore_step, &restore, err);
  if (restore.dir_fd >= 0)
    close (restore.dir_fd);
  if (ret < 0)
    return err_wrap (err, "put back the times of directories");
  return dirtimes_drop (temp_fd, err);
}

int dirtimes_drop (int temp_fd, struct err *err)
{
  if (unlinkat (temp_fd, FILE_NAME, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", FILE_NAME);
  return 0;
}
