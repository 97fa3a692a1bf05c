/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cgroup directories that a killed run left. */
#include "container.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/lock.h"
#include <time.h>

enum { TRIES = 300, TRY_MS = 10, DEPTH_MAX = 32 };

static int remove_cgroup (int dir_fd, const char *name, int depth, struct err *err);

/* A guest may have made cgroups below its own. */
static int remove_children (int dir_fd, const char *name, int depth, struct err *err)
{
  autodirlist struct dirlist list = {0};
  autoclose int fd = fd_open_dir (dir_fd, name);

  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open the cgroup %s", name);
  if (depth > DEPTH_MAX)
    return err_code (err, ELOOP, "the cgroups below %s are too deep", name);
  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR && remove_cgroup (fd, list.items[i].name, depth + 1, err) < 0)
      return err_wrap (err, "%s", name);
  return 0;
}

static int remove_cgroup (int dir_fd, const char *name, int depth, struct err *err)
{
  static const struct timespec pause = {.tv_nsec = TRY_MS * 1000000L};

  for (int i = 0; i < TRIES; i++) {
    if (unlinkat (dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
      return 0;
    if (errno != EBUSY && errno != ENOTEMPTY)
      return err_errno (err, "remove the cgroup %s", name);
    if (remove_children (dir_fd, name, depth, err) < 0)
      return -err->code;
    /* EBUSY: killed processes that have not quite left yet. */
    if (i > 0)
      nanosleep (&pause, NULL);
  }
  return err_code (err, EBUSY, "remove the cgroup %s: processes are still in it", name);
}

/* Calls @act with the path of "vguest" in each hierarchy that is mounted. */
static int each_hierarchy (int (*act) (const char *path, const char *id, struct err *err),
                           const char *id, struct err *err)
{
  FILE *file = fopen ("/proc/self/mountinfo", "re");
  autofree char *line = NULL;
  size_t size = 0;
  int ret = 0;

  if (!file)
    return err_errno (err, "open /proc/self/mountinfo");
  while (ret == 0 && getline (&line, &size, file) > 0) {
    const char *dash = strstr (line, " - ");
    char *save = NULL, *field = NULL;

    if (!dash || strncmp (dash + 3, "cgroup", 6) != 0)
      continue;
    for (int i = 0; i < 5; i++)
      field = strtok_r (i ? NULL : line, " ", &save);
    if (!field)
      continue;
    autofree char *path = xasprintf ("%s/vguest", field);
    ret = act (path, id, err);
  }
  if (ret == 0 && ferror (file))
    ret = err_errno (err, "read /proc/self/mountinfo");
  fclose (file);
  return ret;
}

static int remove_one (const char *path, const char *id, struct err *err)
{
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

  if (fd >= 0)
    return remove_cgroup (fd, id, 0, err);
  return errno == ENOENT ? 0 : err_errno (err, "open %s", path);
}

static int remove_parent (const char *path, const char *id, struct err *err)
{
  (void) id;
  if (rmdir (path) == 0 || errno == ENOENT || errno == EBUSY || errno == ENOTEMPTY)
    return 0;
  return err_errno (err, "remove %s", path);
}

int container_sweep_cgroups (const char *id, int lock_fd, struct err *err)
{
  if (each_hierarchy (remove_one, id, err) < 0)
    return -err->code;
  int alone = lock_convert (lock_fd, LOCK_EXCLUSIVE, err);
  return alone <= 0 ? alone : each_hierarchy (remove_parent, id, err);
}

int container_lock_cgroups (int *ret_fd, struct err *err)
{
  autoclose int dir_fd = fd_make_dir (AT_FDCWD, "/run/vguest", 0711);

  if (dir_fd < 0)
    return err_errno (err, "open /run/vguest");
  return lock_acquire (dir_fd, ".cgroups.lock", LOCK_SHARED, false, "/run/vguest", NULL, ret_fd,
                       err);
}
