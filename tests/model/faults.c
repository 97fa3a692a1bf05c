/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "faults.h"
#include "util/fd.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/xattr.h>

static unsigned target;
static atomic_uint count; /* several threads may call */
static int fail_with;
static const char *where;

void faults_arm (unsigned nth, int error)
{
  target = nth;
  fail_with = error;
  count = 0;
  where = NULL;
}

unsigned faults_count (void)
{
  return count;
}

const char *faults_where (void)
{
  return where;
}

/* True when this call is to fail. */
static bool hit (const char *name)
{
  if (atomic_fetch_add (&count, 1) + 1 != target || !target)
    return false;
  where = name;
  if (!fail_with)
    _exit (FAULT_STOPPED);
  errno = fail_with;
  return true;
}

/* WRAP (result, name, parameters, arguments): one wrapped function. */
#define WRAP(result, name, parameters, arguments)                                                  \
  result __real_##name parameters;                                                                 \
  result __wrap_##name parameters;                                                                 \
  result __wrap_##name parameters                                                                  \
  {                                                                                                \
    return hit (#name) ? -1 : __real_##name arguments;                                             \
  }

WRAP (int, linkat, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e))
WRAP (int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP (int, fd_rename, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e))
WRAP (int, unlinkat, (int a, const char *b, int c), (a, b, c))
WRAP (int, mkdirat, (int a, const char *b, mode_t c), (a, b, c))
WRAP (int, mknodat, (int a, const char *b, mode_t c, dev_t d), (a, b, c, d))
WRAP (int, symlinkat, (const char *a, int b, const char *c), (a, b, c))
WRAP (int, fsetxattr, (int a, const char *b, const void *c, size_t d, int e), (a, b, c, d, e))
WRAP (int, lsetxattr, (const char *a, const char *b, const void *c, size_t d, int e),
      (a, b, c, d, e))
WRAP (int, fremovexattr, (int a, const char *b), (a, b))
WRAP (int, lremovexattr, (const char *a, const char *b), (a, b))
WRAP (int, utimensat, (int a, const char *b, const struct timespec *c, int d), (a, b, c, d))
WRAP (int, futimens, (int a, const struct timespec *b), (a, b))
WRAP (int, fchown, (int a, uid_t b, gid_t c), (a, b, c))
WRAP (int, fchownat, (int a, const char *b, uid_t c, gid_t d, int e), (a, b, c, d, e))
WRAP (int, fchmod, (int a, mode_t b), (a, b))
WRAP (int, fchmodat, (int a, const char *b, mode_t c, int d), (a, b, c, d))
WRAP (int, ftruncate, (int a, off_t b), (a, b))
WRAP (int, fsync, (int a), (a))
WRAP (int, syncfs, (int a), (a))
WRAP (ssize_t, pwrite, (int a, const void *b, size_t c, off_t d), (a, b, c, d))
WRAP (ssize_t, copy_file_range, (int a, loff_t *b, int c, loff_t *d, size_t e, unsigned f),
      (a, b, c, d, e, f))

ssize_t __real_write (int fd, const void *data, size_t len);
ssize_t __wrap_write (int fd, const void *data, size_t len);

/* A write that is cut off by the end leaves a part of the data; one that fails, nothing. */
ssize_t __wrap_write (int fd, const void *data, size_t len)
{
  if (count + 1 == target && !fail_with && len > 1 && __real_write (fd, data, len / 2) < 0)
    return -1;
  return hit ("write") ? -1 : __real_write (fd, data, len);
}

int __real_openat (int dir_fd, const char *name, int flags, ...);
int __wrap_openat (int dir_fd, const char *name, int flags, ...);

int __wrap_openat (int dir_fd, const char *name, int flags, ...)
{
  mode_t mode = 0;

  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list ap;

    va_start (ap, flags);
    mode = va_arg (ap, mode_t);
    va_end (ap);
  }
  /* Directories are opened all the time; failing one is another kind of fault. */
  if (flags & O_CREAT && hit ("openat"))
    return -1;
  return __real_openat (dir_fd, name, flags, mode);
}
