/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manual_internal.h"
#include "util/fd.h"
#include "util/xattr.h"
#include <stdio.h>

enum { COMPARE_SIZE = 64 << 10 };

void manual_held_release (struct manual_held *held)
{
  /* The lease goes with the descriptor. */
  cleanup_close (&held->fd);
  held->fd = -1;
}

static bool same_times (const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

int manual_hold (struct manual *manual, const struct manual_file *file, bool lease,
                 struct manual_held *ret_held, struct err *err)
{
  automanualheld struct manual_held held = {.fd = -1};
  int dir_fd = manual_open_dir (manual, file);

  /* O_NONBLOCK: it may be a fifo by now. */
  if (dir_fd >= 0)
    held.fd = fd_open (dir_fd, manual_name (manual, file), O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  if (held.fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
    manual->report->changed++;
    return 0;
  }
  if (held.fd < 0 || fstat (held.fd, &held.st) < 0)
    return err_errno (err, "open it");
  if (!S_ISREG (held.st.st_mode) || held.st.st_ino != file->ino ||
      (uint64_t) held.st.st_size != file->size) {
    manual->report->changed++;
    return 0;
  }
  if (lease && fcntl (held.fd, F_SETLEASE, F_RDLCK) < 0) {
    if (errno != EAGAIN)
      return err_errno (err, "take a lease of it");
    manual->report->busy++;
    return 0;
  }
  *ret_held = held;
  held.fd = -1;
  return 1;
}

/* Is it still what manual_hold found, with nobody waiting to write to it? */
static bool is_held (const struct manual_held *held, const struct stat *now)
{
  return now->st_size == held->st.st_size && same_times (&now->st_mtim, &held->st.st_mtim) &&
         now->st_mode == held->st.st_mode && now->st_uid == held->st.st_uid &&
         now->st_gid == held->st.st_gid && fcntl (held->fd, F_GETLEASE) == F_RDLCK;
}

/* 1, 0 or negative. */
static int same_bytes (const struct manual_held *a, const struct manual_held *b, struct err *err)
{
  autofree char *of_a = xmalloc (COMPARE_SIZE), *of_b = xmalloc (COMPARE_SIZE);
  off_t at = 0;

  if (lseek (a->fd, 0, SEEK_SET) < 0 || lseek (b->fd, 0, SEEK_SET) < 0)
    return err_errno (err, "read it");
  while (at < a->st.st_size) {
    ssize_t n = fd_read_full (a->fd, of_a, COMPARE_SIZE);
    ssize_t m = n < 0 ? -1 : fd_read_full (b->fd, of_b, COMPARE_SIZE);

    if (m < 0)
      return err_errno (err, "read it");
    if (n != m || !n || memcmp (of_a, of_b, (size_t) n) != 0)
      return 0;
    at += n;
  }
  return at == a->st.st_size;
}

static bool same_stat (const struct stat *a, const struct stat *b, unsigned flags)
{
  return a->st_dev == b->st_dev && a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
         a->st_gid == b->st_gid && a->st_size == b->st_size &&
         (flags & IDENTITY_ANY_MTIME || same_times (&a->st_mtim, &b->st_mtim));
}

int manual_compare (struct manual *manual, const struct manual_held *a, const struct manual_held *b,
                    unsigned flags, struct err *err)
{
  autoxattrs struct xattrs of_a = {0}, of_b = {0};
  struct stat now_a, now_b;

  if (!same_stat (&a->st, &b->st, flags))
    return 0;
  if (xattrs_read (a->fd, -1, NULL, /* with_overlay= */ true, &of_a, err) < 0 ||
      xattrs_read (b->fd, -1, NULL, /* with_overlay= */ true, &of_b, err) < 0)
    return -err->code;
  if (!xattrs_equal (&of_a, &of_b))
    return 0;
  int same = same_bytes (a, b, err);
  if (same <= 0)
    return same;
  manual->report->bytes += 2 * (uint64_t) a->st.st_size;
  if (fstat (a->fd, &now_a) < 0 || fstat (b->fd, &now_b) < 0)
    return err_errno (err, "stat it");
  if (is_held (a, &now_a) && is_held (b, &now_b))
    return 1;
  manual->report->changed++;
  return 0;
}

/* Is the exchange what was meant: did the file that was compared come out as @temp, and has nobody
 * begun to write to it? */
static bool was_right (int temp_fd, const char *temp, const struct manual_held *held)
{
  struct stat out, now;

  return fstatat (temp_fd, temp, &out, AT_SYMLINK_NOFOLLOW) == 0 && out.st_ino == held->st.st_ino &&
         out.st_dev == held->st.st_dev && fstat (held->fd, &now) == 0 && is_held (held, &now);
}

/* With the link in place as @temp. */
static int exchange (struct manual *manual, int temp_fd, const char *temp, int dir_fd,
                     const char *name, const struct manual_held *held, struct err *err)
{
  if (fd_rename (temp_fd, temp, dir_fd, name, RENAME_EXCHANGE) < 0) {
    int code = errno;

    unlinkat (temp_fd, temp, 0);
    if (code != ENOENT) {
      errno = code;
      return err_errno (err, "replace it");
    }
    manual->report->changed++;
    return 0;
  }
  bool right = was_right (temp_fd, temp, held);
  if (!right && fd_rename (temp_fd, temp, dir_fd, name, RENAME_EXCHANGE) < 0)
    return err_errno (err, "put back what is now %s/%s", MANUAL_TEMP, temp);
  if (unlinkat (temp_fd, temp, 0) < 0)
    return err_errno (err, "remove %s/%s", MANUAL_TEMP, temp);
  manual->report->changed += !right;
  return right;
}

int manual_replace (struct manual *manual, const struct manual_held *master,
                    const struct manual_file *file, const struct manual_held *held, struct err *err)
{
  int temp_fd = manual->tops[manual->dirs[file->dir].top].temp_fd;
  int dir_fd = manual_open_dir (manual, file);
  char temp[FD_TEMP_NAME_SIZE];
  struct stat st;

  if (dir_fd < 0 || fstat (dir_fd, &st) < 0)
    return err_errno (err, "open its directory");
  fd_temp_name (temp);
  /* Exactly the inode that was compared. */
  if (linkat (master->fd, "", temp_fd, temp, AT_EMPTY_PATH) < 0) {
    if (errno != ENOENT)
      return err_errno (err, "make a link of an equal file");
    /* Its last name went meanwhile. */
    manual->report->changed++;
    return 0;
  }
  int ret = exchange (manual, temp_fd, temp, dir_fd, manual_name (manual, file), held, err);
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (ret > 0 && futimens (dir_fd, times) < 0)
    return err_errno (err, "set the times of its directory");
  return ret;
}
