/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "root.h"
#include "util/fd.h"

/* Has the directory what a state root has? */
static bool is_root (int fd)
{
  static const char *const names[] = {"root.json", "store", "guests", "templates"};

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (faccessat (fd, names[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0)
      return false;
  return true;
}

int root_is_above (const char *path, struct err *err)
{
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat st, above;

  if (fd < 0 || fstat (fd, &st) < 0)
    return err_errno (err, "open %s", path);
  for (;;) {
    if (is_root (fd))
      return 1;
    int up = openat (fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (up < 0 || fstat (up, &above) < 0) {
      err_errno (err, "open the directories above %s", path);
      cleanup_close (&up);
      return -err->code;
    }
    close (fd);
    fd = up;
    if (above.st_dev == st.st_dev && above.st_ino == st.st_ino)
      return 0;
    st = above;
  }
}
