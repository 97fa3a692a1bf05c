/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "private_file.h"
#include "tree/clone.h"
#include "util/fd.h"

int private_file_put (const struct lower *layers, const char *path, private_file_make *make,
                      void *data, struct err *err)
{
  size_t len = strcspn (path, "/");
  struct stat st;

  if (fstat (layers->priv, &st) < 0)
    return err_errno (err, "stat a directory of the private layer");
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (!path[len]) {
    if (make (data, layers, path, err) < 0)
      return -err->code;
  } else {
    autofree char *name = xstrndup (path, len);
    autolower struct lower child = LOWER_NONE;

    if (lower_child (layers, name, &child, err) < 0)
      return -err->code;
    bool made = child.priv < 0;
    int like = lower_shared_top (&child);
    if (made && like < 0)
      return 0;
    if (made && (child.priv = fd_make_dir (layers->priv, name, 0700)) < 0)
      return err_errno (err, "make the directory %s", name);
    if (private_file_put (&child, path + len + 1, make, data, err) < 0 ||
        (made && clone_directory_metadata (like, child.priv, err) < 0))
      return err_wrap (err, "%s", name);
  }
  if (futimens (layers->priv, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}
