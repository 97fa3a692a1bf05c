/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mirror.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <stdarg.h>
#include <sys/xattr.h>

/* What the guest answered. */
struct answer {
  const char *call;
  int error;
  bool separated[2]; /* the names of the call have an inode of their own now */
  bool touched;      /* it got another mtime by an open, or by a rename that failed */
};

static struct {
  enum { IDLE, IN_GUEST, IN_TWIN } phase;
  struct answer *items; /* owned */
  size_t count, size;
  size_t at;
  bool lost; /* the runs went apart: no more to compare */
  unsigned number, differences;
  const char *operation;
  struct mirror_counts counts;
} mirror;

/* One of the two names of a call. */
struct side {
  int dir_fd;
  const char *name; /* NULL: none */
  ino_t ino;        /* 0: nothing that could have partners */
};

struct call {
  const char *name;
  struct side before[2], after[2];
  const struct answer *answer; /* in the twin */
  bool refused;
};

static ino_t inode_of (int dir_fd, const char *name)
{
  struct stat st;

  if (!name || fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR (st.st_mode))
    return 0;
  return st.st_ino;
}

static void differ (const char *call, const char *text)
{
  printf ("# operation %u, %s: %s: %s\n", mirror.number, mirror.operation, call, text);
  mirror.differences++;
}

static const char remove_acl[] = "lremovexattr of an ACL";

/* The answers that the manual explains. */
static bool explained (const char *call, int error)
{
  return (error == EXDEV && (strcmp (call, "rename") == 0 || strcmp (call, "linkat") == 0)) ||
         (error == ENOSPC && strcmp (call, "lsetxattr") == 0) ||
         (error == ENODATA && strcmp (call, remove_acl) == 0);
}

static void begin (struct call *call)
{
  if (mirror.phase == IN_GUEST) {
    for (int i = 0; i < 2; i++)
      call->before[i].ino = inode_of (call->before[i].dir_fd, call->before[i].name);
    return;
  }
  if (mirror.phase != IN_TWIN || mirror.lost)
    return;
  if (mirror.at == mirror.count || mirror.items[mirror.at].call != call->name) {
    differ (call->name, "was not called in the guest");
    mirror.lost = true;
    return;
  }
  call->answer = &mirror.items[mirror.at++];
  int phase = mirror.phase;
  mirror.phase = IDLE;
  for (int i = 0; i < 2; i++)
    if (call->answer->separated[i] &&
        mirror_separate (call->before[i].dir_fd, call->before[i].name) < 0)
      differ (call->name, "the twin's name cannot be separated");
  mirror.phase = phase;
  call->refused = explained (call->name, call->answer->error);
  mirror.counts.refused += call->refused;
}

/* Did the inode of the name change? Then it left its group. */
static bool left_group (const struct side *before, const struct side *after)
{
  ino_t now = inode_of (after->dir_fd, after->name);

  return before->ino && now && now != before->ino;
}

static int end (struct call *call, int ret)
{
  int error = ret < 0 ? errno : 0;

  if (mirror.phase == IN_GUEST) {
    if (mirror.count == mirror.size) {
      mirror.size = mirror.size ? mirror.size * 2 : 256;
      mirror.items = xreallocarray (mirror.items, mirror.size, sizeof *mirror.items);
    }
    struct answer *answer = &mirror.items[mirror.count++];
    *answer = (struct answer){.call = call->name, .error = error};
    for (int i = 0; i < 2; i++) {
      answer->separated[i] =
          left_group (&call->before[i], error ? &call->before[i] : &call->after[i]);
      mirror.counts.separated += answer->separated[i];
    }
    mirror.counts.calls++;
    mirror.counts.failed += error != 0;
  } else if (call->answer && call->answer->error != error) {
    autofree char *text =
        xasprintf ("%s in the guest, %s in the twin", strerrorname_np (call->answer->error),
                   strerrorname_np (error));

    differ (call->name, text);
  }
  errno = error;
  return ret;
}

static bool has_other_mtime (const struct stat *before, const struct stat *after)
{
  return before->st_mtim.tv_sec != after->st_mtim.tv_sec ||
         before->st_mtim.tv_nsec != after->st_mtim.tv_nsec;
}

/* All calls have the same form. */
#define MIRRORED(call, real)                                                                       \
  do {                                                                                             \
    begin (&(call));                                                                               \
    int ret_;                                                                                      \
    if ((call).refused) {                                                                          \
      ret_ = -1;                                                                                   \
      errno = (call).answer->error;                                                                \
    } else {                                                                                       \
      ret_ = (real);                                                                               \
    }                                                                                              \
    return end (&(call), ret_);                                                                    \
  } while (0)

/* A call that changes what has this name, and leaves the name. */
static struct call change_of (const char *what, int dir_fd, const char *name)
{
  struct side side = {.dir_fd = dir_fd, .name = name};

  return (struct call){.name = what, .before = {side}, .after = {side}};
}

/* A call that makes or removes the name. */
static struct call plain (const char *what)
{
  return (struct call){.name = what};
}

int __real_fd_rename (int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
static int rename_mirrored (struct call *call, unsigned flags)
{
  const struct side *from = &call->before[0], *to = &call->after[0];

  MIRRORED (*call, __real_fd_rename (from->dir_fd, from->name, to->dir_fd, to->name, flags));
}

int __wrap_fd_rename (int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_fd_rename (int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
  struct side a = {.dir_fd = from_dir, .name = from}, b = {.dir_fd = to_dir, .name = to};
  struct call call = {.name = "rename", .before = {a}, .after = {b}};
  struct stat before, after;

  if (flags & RENAME_EXCHANGE) {
    call.before[1] = b;
    call.after[1] = a;
  }
  bool there = mirror.phase == IN_GUEST && fstat (from_dir, &before) == 0;
  int ret = rename_mirrored (&call, flags);
  if (ret == 0 || errno != ENOTEMPTY)
    return ret;
  /* ext4 has put overlayfs's whiteout in the place of the name, and taken it back. */
  if (there && fstat (from_dir, &after) == 0)
    mirror.items[mirror.count - 1].touched = has_other_mtime (&before, &after);
  if (call.answer && call.answer->touched && futimens (from_dir, NULL) < 0)
    differ ("rename", "the time of the twin's directory cannot be set");
  errno = ENOTEMPTY;
  return ret;
}

int __real_linkat (int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_linkat (int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_linkat (int from_dir, const char *from, int to_dir, const char *to, int flags)
{
  struct call call = from_dir == AT_FDCWD ? plain ("linkat") : change_of ("linkat", from_dir, from);

  MIRRORED (call, __real_linkat (from_dir, from, to_dir, to, flags));
}

int __real_unlinkat (int dir_fd, const char *name, int flags);
int __wrap_unlinkat (int dir_fd, const char *name, int flags);
int __wrap_unlinkat (int dir_fd, const char *name, int flags)
{
  struct call call = plain ("unlinkat");

  MIRRORED (call, __real_unlinkat (dir_fd, name, flags));
}

int __real_mkdirat (int dir_fd, const char *name, mode_t mode);
int __wrap_mkdirat (int dir_fd, const char *name, mode_t mode);
int __wrap_mkdirat (int dir_fd, const char *name, mode_t mode)
{
  struct call call = plain ("mkdirat");

  MIRRORED (call, __real_mkdirat (dir_fd, name, mode));
}

int __real_mknodat (int dir_fd, const char *name, mode_t mode, dev_t rdev);
int __wrap_mknodat (int dir_fd, const char *name, mode_t mode, dev_t rdev);
int __wrap_mknodat (int dir_fd, const char *name, mode_t mode, dev_t rdev)
{
  struct call call = plain ("mknodat");

  MIRRORED (call, __real_mknodat (dir_fd, name, mode, rdev));
}

int __real_symlinkat (const char *target, int dir_fd, const char *name);
int __wrap_symlinkat (const char *target, int dir_fd, const char *name);
int __wrap_symlinkat (const char *target, int dir_fd, const char *name)
{
  struct call call = plain ("symlinkat");

  MIRRORED (call, __real_symlinkat (target, dir_fd, name));
}

int __real_fchownat (int dir_fd, const char *name, uid_t uid, gid_t gid, int flags);
int __wrap_fchownat (int dir_fd, const char *name, uid_t uid, gid_t gid, int flags);
int __wrap_fchownat (int dir_fd, const char *name, uid_t uid, gid_t gid, int flags)
{
  struct call call = change_of ("fchownat", dir_fd, name);

  MIRRORED (call, __real_fchownat (dir_fd, name, uid, gid, flags));
}

int __real_fchmodat (int dir_fd, const char *name, mode_t mode, int flags);
int __wrap_fchmodat (int dir_fd, const char *name, mode_t mode, int flags);
int __wrap_fchmodat (int dir_fd, const char *name, mode_t mode, int flags)
{
  struct call call = change_of ("fchmodat", dir_fd, name);

  MIRRORED (call, __real_fchmodat (dir_fd, name, mode, flags));
}

int __real_utimensat (int dir_fd, const char *name, const struct timespec times[2], int flags);
int __wrap_utimensat (int dir_fd, const char *name, const struct timespec times[2], int flags);
int __wrap_utimensat (int dir_fd, const char *name, const struct timespec times[2], int flags)
{
  struct call call = change_of ("utimensat", dir_fd, name);

  MIRRORED (call, __real_utimensat (dir_fd, name, times, flags));
}

/* The directory and name in /proc/self/fd/N/NAME, as fd_proc_path makes it. */
static struct call change_of_path (const char *what, const char *path)
{
  int dir_fd = -1, used = 0;

  if (sscanf (path, "/proc/self/fd/%d/%n", &dir_fd, &used) == 1 && used)
    return change_of (what, dir_fd, path + used);
  return plain (what);
}

int __real_lsetxattr (const char *path, const char *name, const void *value, size_t len, int flags);
int __wrap_lsetxattr (const char *path, const char *name, const void *value, size_t len, int flags);
int __wrap_lsetxattr (const char *path, const char *name, const void *value, size_t len, int flags)
{
  struct call call = change_of_path ("lsetxattr", path);

  MIRRORED (call, __real_lsetxattr (path, name, value, len, flags));
}

int __real_lremovexattr (const char *path, const char *name);
int __wrap_lremovexattr (const char *path, const char *name);
int __wrap_lremovexattr (const char *path, const char *name)
{
  bool acl = strncmp (name, "system.posix_acl_", strlen ("system.posix_acl_")) == 0;
  struct call call = change_of_path (acl ? remove_acl : "lremovexattr", path);

  MIRRORED (call, __real_lremovexattr (path, name));
}

int __real_openat (int dir_fd, const char *name, int flags, ...);
int __wrap_openat (int dir_fd, const char *name, int flags, ...);
int __wrap_openat (int dir_fd, const char *name, int flags, ...)
{
  mode_t mode = 0;
  struct stat before, after;

  if (flags & (O_CREAT | __O_TMPFILE)) {
    va_list args;

    va_start (args, flags);
    mode = va_arg (args, mode_t);
    va_end (args);
  }
  if (mirror.phase == IDLE || (flags & O_ACCMODE) == O_RDONLY)
    return __real_openat (dir_fd, name, flags, mode);
  struct call call = (flags & __O_TMPFILE) ? plain ("openat") : change_of ("openat", dir_fd, name);
  /* A file that is made had no inode before: nothing left a group. */
  bool there = !(flags & (O_CREAT | O_TRUNC | __O_TMPFILE)) &&
               fstatat (dir_fd, name, &before, AT_SYMLINK_NOFOLLOW) == 0;
  begin (&call);
  int fd = end (&call, __real_openat (dir_fd, name, flags, mode));
  if (fd < 0 || !there)
    return fd;
  if (mirror.phase == IN_GUEST && fstat (fd, &after) == 0)
    mirror.items[mirror.count - 1].touched = has_other_mtime (&before, &after);
  if (mirror.phase == IN_TWIN && call.answer && call.answer->touched && futimens (fd, NULL) < 0)
    differ ("openat", "the twin's time cannot be set");
  return fd;
}

/* In the order of names, which is the same in both, and on from what cannot be removed. */
int __wrap_fd_remove_tree (int dir_fd, const char *name, struct err *err);
int __wrap_fd_remove_tree (int dir_fd, const char *name, struct err *err)
{
  autodirlist struct dirlist list = {0};
  autoclose int fd = fd_open_dir (dir_fd, name);

  if (fd < 0) {
    if (unlinkat (dir_fd, name, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove %s", name);
    return 0;
  }
  if (dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    autoerr struct err inner = {0};

    /* What stays shows when the directory is removed. */
    if (__wrap_fd_remove_tree (fd, list.items[i].name, &inner) < 0)
      continue;
  }
  if (unlinkat (dir_fd, name, AT_REMOVEDIR) < 0)
    return err_errno (err, "remove the directory %s", name);
  return 0;
}

unsigned mirror_operate (uint64_t seed, unsigned number, int guest_fd, int twin_fd)
{
  struct rng random = {.state = seed ^ (number * 0x9e3779b97f4a7c15ULL)};
  struct rng again = random;

  mirror.count = mirror.at = 0;
  mirror.lost = false;
  mirror.number = number;
  mirror.differences = 0;
  mirror.operation = "guest";
  mirror.phase = IN_GUEST;
  mirror.operation = random_operation (&random, guest_fd);
  mirror.phase = IN_TWIN;
  random_operation (&again, twin_fd);
  mirror.phase = IDLE;
  if (!mirror.lost && mirror.at != mirror.count)
    differ (mirror.items[mirror.at].call, "was not called in the twin");
  return mirror.differences;
}

struct mirror_counts mirror_counts (void)
{
  return mirror.counts;
}
