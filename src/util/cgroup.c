/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup.h"
#include "clock.h"
#include "dirread.h"
#include "fd.h"
#include "lock.h"
#include <time.h>

enum { DEPTH_MAX = 32, PAUSE_MAX_US = 10000 };

static int remove_cgroup (int dir_fd, const char *name, int depth, uint64_t deadline_us,
                          struct err *err);

/* A guest may have made cgroups below its own. */
static int remove_children (int dir_fd, const char *name, int depth, uint64_t deadline_us,
                            struct err *err)
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
    if (list.items[i].type == DT_DIR &&
        remove_cgroup (fd, list.items[i].name, depth + 1, deadline_us, err) < 0)
      return err_wrap (err, "%s", name);
  return 0;
}

static int remove_cgroup (int dir_fd, const char *name, int depth, uint64_t deadline_us,
                          struct err *err)
{
  struct timespec pause = {.tv_nsec = 250000};

  for (;;) {
    if (unlinkat (dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
      return 0;
    if (errno != EBUSY && errno != ENOTEMPTY)
      return err_errno (err, "remove the cgroup %s", name);
    if (remove_children (dir_fd, name, depth, deadline_us, err) < 0)
      return -err->code;
    if (unlinkat (dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
      return 0;
    /* EBUSY: killed processes that have not quite left yet. */
    if (clock_us () >= deadline_us)
      return err_code (err, EBUSY, "remove the cgroup %s: processes are still in it", name);
    nanosleep (&pause, NULL);
    if (pause.tv_nsec < PAUSE_MAX_US * 1000L)
      pause.tv_nsec *= 2;
  }
}

/* Where a hierarchy is mounted. */
struct hierarchy {
  const char *path;
  bool unified;
  bool named; /* "name=systemd", which has no controllers */
};

/* Calls @act for each hierarchy that is mounted. */
static int each_hierarchy (int (*act) (const struct hierarchy *hierarchy, void *data,
                                       struct err *err),
                           void *data, struct err *err)
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
    struct hierarchy hierarchy = {
        .unified = strncmp (dash + 3, "cgroup2 ", 8) == 0,
        .named = strstr (dash, "name=systemd") != NULL,
    };
    for (int i = 0; i < 5; i++)
      field = strtok_r (i ? NULL : line, " ", &save);
    if (!field)
      continue;
    hierarchy.path = field;
    ret = act (&hierarchy, data, err);
  }
  if (ret == 0 && ferror (file))
    ret = err_errno (err, "read /proc/self/mountinfo");
  fclose (file);
  return ret;
}

struct sweep {
  const char *id;
  uint64_t deadline_us;
};

static int sweep_one (const struct hierarchy *hierarchy, void *data, struct err *err)
{
  const struct sweep *sweep = data;
  autofree char *path = xasprintf ("%s/vguest", hierarchy->path);
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

  if (fd >= 0)
    return remove_cgroup (fd, sweep->id, 0, sweep->deadline_us, err);
  return errno == ENOENT ? 0 : err_errno (err, "open %s", path);
}

int cgroup_sweep (const char *id, int timeout_ms, struct err *err)
{
  struct sweep sweep = {id, clock_us () + (uint64_t) timeout_ms * 1000};

  return each_hierarchy (sweep_one, &sweep, err);
}

static int remove_parent (const struct hierarchy *hierarchy, void *data, struct err *err)
{
  autofree char *path = xasprintf ("%s/vguest", hierarchy->path);

  (void) data;
  if (rmdir (path) == 0 || errno == ENOENT || errno == EBUSY || errno == ENOTEMPTY)
    return 0;
  return err_errno (err, "remove %s", path);
}

int cgroup_sweep_parents (int lock_fd, struct err *err)
{
  int alone = lock_convert (lock_fd, LOCK_EXCLUSIVE, err);

  return alone <= 0 ? alone : each_hierarchy (remove_parent, NULL, err);
}

int cgroup_lock (int *ret_fd, struct err *err)
{
  autoclose int dir_fd = fd_make_dir (AT_FDCWD, "/run/vguest", 0711);

  if (dir_fd < 0)
    return err_errno (err, "open /run/vguest");
  return lock_acquire (dir_fd, ".cgroups.lock", LOCK_SHARED, false, "/run/vguest", NULL, ret_fd,
                       err);
}

struct move {
  const char *id;  /* NULL: to the top */
  bool everywhere; /* in hierarchies with controllers of version 1 as well */
  size_t moved;
};

static int enter (const char *path, struct err *err)
{
  autofree char *file = xasprintf ("%s/cgroup.procs", path);
  autoclose int fd = open (file, O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return err_errno (err, "open %s", file);
  if (write (fd, "0", 1) < 0)
    return err_errno (err, "join the cgroup %s", path);
  return 0;
}

static int move_one (const struct hierarchy *hierarchy, void *data, struct err *err)
{
  struct move *move = data;

  if (!hierarchy->unified && !hierarchy->named && !move->everywhere)
    return 0;
  move->moved++;
  if (!move->id)
    return enter (hierarchy->path, err);
  autofree char *parent = xasprintf ("%s/vguest", hierarchy->path);
  autofree char *path = xasprintf ("%s/%s", parent, move->id);
  if ((mkdir (parent, 0755) < 0 && errno != EEXIST) || (mkdir (path, 0755) < 0 && errno != EEXIST))
    return err_errno (err, "make the cgroup %s", path);
  return enter (path, err);
}

static int move_self (const char *id, struct err *err)
{
  struct move move = {.id = id};

  if (each_hierarchy (move_one, &move, err) < 0 || move.moved)
    return -err->code;
  move.everywhere = true;
  return each_hierarchy (move_one, &move, err);
}

int cgroup_join (const char *id, struct err *err)
{
  return move_self (id, err);
}

int cgroup_leave (struct err *err)
{
  return move_self (NULL, err);
}
