/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inuse.h"
#include "guest/root.h"
#include "tree/overlay.h"
#include "util/dirread.h"
#include "util/fd.h"

enum { LINK_MAX = 4096 };

/* Does the process @pid have its root there, or its working directory at or below it? The first is
 * told by the inode, as its namespace may have another path for it. */
static bool uses (int proc_fd, const char *pid, const struct adopt_source *source)
{
  static const char *const links[] = {"root", "cwd"};
  size_t len = strlen (source->tree);

  for (size_t i = 0; i < 2; i++) {
    autofree char *link = xasprintf ("%s/%s", pid, links[i]);
    char path[LINK_MAX];
    struct stat st;

    if (fstatat (proc_fd, link, &st, 0) == 0 && st.st_dev == source->st.st_dev &&
        st.st_ino == source->st.st_ino)
      return true;
    ssize_t n = readlinkat (proc_fd, link, path, sizeof path - 1);
    if (n < (ssize_t) len)
      continue;
    path[n] = '\0';
    if (strncmp (path, source->tree, len) == 0 && (!path[len] || path[len] == '/'))
      return true;
  }
  return false;
}

static int refuse_processes (const struct adopt_source *source, struct err *err)
{
  autoclose int fd = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  if (fd < 0)
    return err_errno (err, "open /proc");
  dirread_start (fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0)
    if (entry.name[strspn (entry.name, "0123456789")] == '\0' && uses (fd, entry.name, source))
      return err_code (err, EBUSY, "%s is used by process %s: stop the container first",
                       source->tree, entry.name);
  return ret;
}

int inuse_refuse (const struct adopt_source *source, struct err *err)
{
  autofree char *where = NULL;
  int managed, mounted;

  if (!S_ISDIR (source->st.st_mode))
    return 0;
  managed = root_is_above (source->tree, err);
  if (managed < 0)
    return managed;
  if (managed)
    return err_code (err, ERR_USAGE, "%s is managed by vguest already", source->tree);
  mounted = overlay_in_use (source->tree, &where, err);
  if (mounted < 0)
    return mounted;
  if (mounted)
    return err_code (err, EBUSY,
                     "%s is in use, as %s is mounted: stop the container, or unmount it first",
                     source->tree, where);
  return refuse_processes (source, err);
}
