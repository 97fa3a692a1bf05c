/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ownership by attribute.
 *
 * `autofree char *s = …;`, `autoclose int fd = …;`, `autodir DIR *d = …;` are released when they go
 * out of scope; steal_ptr and steal_fd hand the value over and leave NULL or -1 behind. Every
 * cleanup keeps errno and takes NULL or -1. */
#ifndef VG_UTIL_CLEANUP_H
#define VG_UTIL_CLEANUP_H

#include "err.h"
#include <dirent.h>

static inline void cleanup_free (void *p)
{
  int saved = errno;

  free (*(void **) p);
  errno = saved;
}

static inline void cleanup_close (int *fd)
{
  int saved = errno;

  if (*fd >= 0)
    close (*fd);
  errno = saved;
}

static inline void cleanup_dir (DIR **dir)
{
  int saved = errno;

  if (*dir)
    closedir (*dir);
  errno = saved;
}

static inline int steal_fd (int *fd)
{
  int taken = *fd;

  *fd = -1;
  return taken;
}

#define autofree __attribute__ ((cleanup (cleanup_free)))
#define autoclose __attribute__ ((cleanup (cleanup_close)))
#define autodir __attribute__ ((cleanup (cleanup_dir)))
#define autoerr __attribute__ ((cleanup (err_release)))

#define steal_ptr(p)                                                                               \
  ({                                                                                               \
    __auto_type steal_place = (p);                                                                 \
    __auto_type steal_value = *steal_place;                                                        \
    *steal_place = NULL;                                                                           \
    steal_value;                                                                                   \
  })

#endif
