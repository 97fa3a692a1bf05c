/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "download_internal.h"
#include "util/fd.h"
#include <sys/xattr.h>
#include <time.h>

#define RECORD "trusted.vguest.verified"
enum { RECORD_VERSION = 1, USE_NOTED_EVERY_S = 3600 };

/* As it lies in the attribute, in this host's byte order: on another one the inode is another one
 * as well. ctime cannot be written down as it is, since writing changes it: settled_ns is a time
 * just after, which ctime must not pass. */
struct record {
  uint32_t version;
  uint32_t zero;
  uint64_t ino;
  uint64_t size;
  int64_t mtime_ns;
  int64_t settled_ns;
  int64_t checked_s; /* when it was read */
  int64_t used_s;
};

static int64_t to_ns (const struct timespec *ts)
{
  return (int64_t) ts->tv_sec * 1000000000 + ts->tv_nsec;
}

static struct timespec now (void)
{
  struct timespec ts = {0};

  clock_gettime (CLOCK_REALTIME, &ts);
  return ts;
}

static bool is_usable (const struct record *record, ssize_t len)
{
  return len == (ssize_t) sizeof *record && record->version == RECORD_VERSION;
}

static bool read_record (int fd, struct record *ret_record)
{
  return is_usable (ret_record, fgetxattr (fd, RECORD, ret_record, sizeof *ret_record));
}

static bool is_same (const struct record *record, const struct stat *st)
{
  return record->ino == st->st_ino && record->size == (uint64_t) st->st_size &&
         record->mtime_ns == to_ns (&st->st_mtim);
}

static bool is_verified (const struct record *record, const struct stat *st)
{
  int64_t today = now ().tv_sec;

  return is_same (record, st) && to_ns (&st->st_ctim) <= record->settled_ns &&
         record->checked_s <= today && today - record->checked_s < PKGCACHE_RECHECK_S;
}

/* 1 when the contents are those of @digest; 0. */
static int compare (int fd, const char *name, const struct checksum *digest, uint64_t size,
                    struct err *err)
{
  autochecksummer struct checksummer *sum = NULL;
  struct checksum found;

  if (checksummer_new (digest->kind, CHECKSUM_NONE, &sum, err) < 0 ||
      checksummer_add_file (sum, fd, 0, size, err) < 0)
    return err_wrap (err, "the cached package %s", name);
  checksummer_end (sum, &found, NULL);
  return checksum_equal (&found, digest);
}

static int remove_bad (int dir_fd, const char *name, struct err *err)
{
  if (unlinkat (dir_fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove the damaged package %s from the cache", name);
  return 0;
}

int pkgcache_check (int dir_fd, const char *name, const struct checksum *digest,
                    enum pkgcache_check *ret_check, int *ret_fd, struct stat *ret_st,
                    struct err *err)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);
  struct record record = {0};
  int good = 1;

  *ret_fd = -1;
  *ret_check = PKGCACHE_ABSENT;
  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open the cached package %s", name);
  if (fstat (fd, ret_st) < 0)
    return err_errno (err, "stat the cached package %s", name);
  *ret_check = PKGCACHE_GOOD;
  if (!read_record (fd, &record) || !is_verified (&record, ret_st)) {
    good =
        S_ISREG (ret_st->st_mode) ? compare (fd, name, digest, (uint64_t) ret_st->st_size, err) : 0;
    if (good == -EIO) {
      /* The disk has lost it. */
      err_release (err);
      good = 0;
    }
    if (good < 0)
      return good;
    *ret_check = good ? PKGCACHE_READ : PKGCACHE_BAD;
  }
  if (!good)
    return remove_bad (dir_fd, name, err);
  *ret_fd = steal_fd (&fd);
  return 0;
}

void pkgcache_record (int fd, const struct stat *st, enum pkgcache_event event)
{
  struct timespec time = now ();
  struct record old = {0}, record = {
                               .version = RECORD_VERSION,
                               .ino = st->st_ino,
                               .size = (uint64_t) st->st_size,
                               .mtime_ns = to_ns (&st->st_mtim),
                               .settled_ns = to_ns (&time) + PKGCACHE_SETTLE_MS * INT64_C (1000000),
                               .checked_s = time.tv_sec,
                               .used_s = time.tv_sec,
                           };
  struct stat again;

  if (event != PKGCACHE_WAS_READ) {
    if (!read_record (fd, &old) || !is_verified (&old, st))
      return;
    if (event == PKGCACHE_WAS_USED && record.used_s >= old.used_s &&
        record.used_s - old.used_s < USE_NOTED_EVERY_S)
      return;
    record.checked_s = old.checked_s;
  }
  if (fstat (fd, &again) < 0 || !is_same (&record, &again))
    return;
  (void) fsetxattr (fd, RECORD, &record, sizeof record, 0);
}

int64_t pkgcache_last_use (int dir_fd, const char *name, const struct stat *st)
{
  autoclose int fd = fd_open (dir_fd, name, O_RDONLY | O_NONBLOCK, 0);
  struct record record = {0};

  if (fd >= 0 && read_record (fd, &record) && is_same (&record, st))
    return record.used_s;
  return st->st_mtim.tv_sec;
}
