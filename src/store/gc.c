/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects that no tree uses any more have one link left: the store's own. */
#include "store_internal.h"
#include "util/fd.h"

struct gc {
  bool dry_run;
  struct gc_result result;
};

static int visit (void *data, int fan_fd, const char *name, uint64_t ino, struct err *err)
{
  struct gc *gc = data;
  struct stat st;

  (void) ino;
  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object %s", name);
  if (S_ISDIR (st.st_mode) || st.st_nlink > 1) {
    gc->result.kept++;
    return 0;
  }
  if (!gc->dry_run && unlinkat (fan_fd, name, 0) < 0)
    return err_errno (err, "remove the object %s", name);
  gc->result.objects++;
  gc->result.bytes += (uint64_t) st.st_blocks * 512;
  return 0;
}

int store_gc (struct store *store, bool dry_run, struct gc_result *ret_result, struct err *err)
{
  struct gc gc = {.dry_run = dry_run};

  if (store_each (store, visit, &gc, err) < 0)
    return -err->code;
  *ret_result = gc.result;
  return 0;
}
