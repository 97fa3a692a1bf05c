/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup.h"
#include "clock.h"
#include "dirread.h"
#include "fd.h"
#include "lock.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
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
  const struct lock_how how = {.rank = LOCK_RANK_CGROUPS, .mode = LOCK_SHARED};
  autoclose int dir_fd = fd_make_dir (AT_FDCWD, "/run/vguest", 0711);

  if (dir_fd < 0)
    return err_errno (err, "open /run/vguest");
  return lock_acquire (dir_fd, ".cgroups.lock", &how, "/run/vguest", ret_fd, err);
}

/* Which hierarchies tell who belongs to a guest: of the first kind that there is. */
enum tracking { UNIFIED, NAMED, ANY, TRACKING_COUNT };

struct move {
  const char *id; /* NULL: to the top */
  enum tracking tracking;
  size_t moved;
};

static bool tracks (const struct hierarchy *hierarchy, enum tracking tracking)
{
  return tracking == ANY || (tracking == UNIFIED ? hierarchy->unified : hierarchy->named);
}

/* PARENT/vguest/ID, which is made. The caller's string; NULL on errors. */
static char *make_path (const char *hierarchy, const char *id, struct err *err)
{
  autofree char *parent = xasprintf ("%s/vguest", hierarchy);
  autofree char *path = xasprintf ("%s/%s", parent, id);

  if ((mkdir (parent, 0755) < 0 && errno != EEXIST) ||
      (mkdir (path, 0755) < 0 && errno != EEXIST)) {
    err_errno (err, "make the cgroup %s", path);
    return NULL;
  }
  return steal_ptr (&path);
}

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

  if (!tracks (hierarchy, move->tracking))
    return 0;
  move->moved++;
  if (!move->id)
    return enter (hierarchy->path, err);
  autofree char *path = make_path (hierarchy->path, move->id, err);
  return path ? enter (path, err) : -err->code;
}

static int move_self (const char *id, struct err *err)
{
  struct move move = {.id = id};

  for (; move.tracking < TRACKING_COUNT && !move.moved; move.tracking++)
    if (each_hierarchy (move_one, &move, err) < 0)
      return -err->code;
  return 0;
}

int cgroup_join (const char *id, struct err *err)
{
  return move_self (id, err);
}

int cgroup_leave (struct err *err)
{
  return move_self (NULL, err);
}

struct birthplace {
  const char *id;
  int fd; /* owned; O_PATH */
};

static int open_birthplace (const struct hierarchy *hierarchy, void *data, struct err *err)
{
  struct birthplace *place = data;

  if (!hierarchy->unified || place->fd >= 0)
    return 0;
  autofree char *path = make_path (hierarchy->path, place->id, err);
  place->fd = path ? open (path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  return 0;
}

pid_t cgroup_fork (const char *id, uint64_t flags, bool *ret_joined)
{
  struct clone_args args = {.flags = flags | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
  struct birthplace place = {.id = id, .fd = -1};
  autoerr struct err ignored = {0};
  pid_t pid = -1;

  each_hierarchy (open_birthplace, &place, &ignored);
  if (place.fd >= 0) {
    args.cgroup = (uint64_t) place.fd;
    pid = (pid_t) syscall (SYS_clone3, &args, sizeof args);
    close (place.fd);
  }
  *ret_joined = pid >= 0;
  /* An old kernel, or one that has no processes in this cgroup: it is moved there, which tells
   * more. */
  if (pid < 0)
    pid = (pid_t) syscall (SYS_clone, (long) (flags | SIGCHLD), 0L, 0L, 0L, 0L);
  return pid;
}
