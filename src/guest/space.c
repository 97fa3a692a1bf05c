/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "space.h"
#include "guest/settings_internal.h"
#include "util/conf.h"
#include <inttypes.h>
#include <sys/statvfs.h>

enum { DEFAULT_PERCENT = 5 };
static const uint64_t default_maximum = UINT64_C (2) << 30;

static bool parse_percent (const char *text, double *ret_percent)
{
  size_t len = strspn (text, "0123456789.");

  if (!len || len > 9 || strcmp (text + len, "%") != 0)
    return false;
  autofree char *number = xstrndup (text, len);
  char *end;
  *ret_percent = strtod (number, &end);
  return !*end && *ret_percent < 100;
}

int space_parse_reserve (const char *text, uint64_t total_bytes, uint64_t *ret_reserve,
                         struct err *err)
{
  double percent = DEFAULT_PERCENT;
  int64_t size;

  if (text && setting_size (text, &size)) {
    *ret_reserve = (uint64_t) size;
    return 0;
  }
  if (text && !parse_percent (text, &percent))
    return err_code (
        err, ERR_USAGE,
        "\"min_free\": \"%.60s\" is neither a share, as \"5%%\", nor a size, as \"2G\"", text);
  *ret_reserve = (uint64_t) ((double) total_bytes / 100 * percent);
  if (!text && *ret_reserve > default_maximum)
    *ret_reserve = default_maximum;
  return 0;
}

int space_read (struct vroot *root, struct space *ret_space, struct err *err)
{
  autofree char *text = NULL;
  struct statvfs vfs;

  if (fstatvfs (root->fd, &vfs) < 0)
    return err_errno (err, "ask for the free space of %s", root->path);
  struct space space = {
      .total_bytes = (uint64_t) vfs.f_blocks * vfs.f_frsize,
      .free_bytes = (uint64_t) vfs.f_bavail * vfs.f_frsize,
      .total_files = vfs.f_files,
      .free_files = vfs.f_favail,
  };
  if (conf_string ("min_free", &text, err) < 0)
    return -err->code;
  if (space_parse_reserve (text, space.total_bytes, &space.reserve_bytes, err) < 0)
    return conf_wrap (err);
  if (space.total_bytes)
    space.reserve_files = (uint64_t) ((double) space.total_files * (double) space.reserve_bytes /
                                      (double) space.total_bytes);
  *ret_space = space;
  return 0;
}

#define ADVICE                                                                                     \
  "make room, as by deleting what is not needed and \"vstore gc\", or see min_free in "            \
  "vguest.conf(5)"

int space_check (struct vroot *root, uint64_t needed, const char *what, struct err *err)
{
  struct space space;

  if (space_read (root, &space, err) < 0)
    return -err->code;
  if (space.total_files && space.free_files < space.reserve_files)
    return err_code (err, ERR_NO_SPACE,
                     "%s: %s has %" PRIu64 " inodes free, and %" PRIu64
                     " are kept in reserve: " ADVICE,
                     what, root->path, space.free_files, space.reserve_files);
  if (space.free_bytes >= space.reserve_bytes && space.free_bytes - space.reserve_bytes >= needed)
    return 0;
  if (needed)
    return err_code (err, ERR_NO_SPACE,
                     "%s: %s has %" PRIu64 " MiB free, %" PRIu64 " MiB are needed and %" PRIu64
                     " MiB are kept in reserve: " ADVICE,
                     what, root->path, space.free_bytes >> 20, needed >> 20,
                     space.reserve_bytes >> 20);
  return err_code (err, ERR_NO_SPACE,
                   "%s: %s has %" PRIu64 " MiB free, and %" PRIu64
                   " MiB are kept in reserve: " ADVICE,
                   what, root->path, space.free_bytes >> 20, space.reserve_bytes >> 20);
}
