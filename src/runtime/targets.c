/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "targets.h"
#include "util/fd.h"
#include <limits.h>

enum { SYMLINKS_MAX = 40, DEPTH_MAX = 64 };

void targets_release (struct targets *targets)
{
  int saved = errno;

  for (size_t i = 0; i < targets->count; i++) {
    close (targets->items[i].dir_fd);
    free (targets->items[i].name);
  }
  free (targets->items);
  *targets = (struct targets){0};
  errno = saved;
}

/* Makes @name in @dir_fd, which is handed over on success. */
static int make (struct targets *targets, int *dir_fd, const char *name, bool directory,
                 const char *path, struct err *err)
{
  struct stat before, after, made;

  if (fstat (*dir_fd, &before) < 0)
    return err_errno (err, "stat the directory of %s in the guest", path);
  if (directory && mkdirat (*dir_fd, name, 0755) < 0)
    return err_errno (err, "make the directory %s in the guest", path);
  if (!directory) {
    autoclose int fd = fd_open (*dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);

    if (fd < 0)
      return err_errno (err, "create %s in the guest", path);
  }
  if (fstatat (*dir_fd, name, &made, AT_SYMLINK_NOFOLLOW) < 0 || fstat (*dir_fd, &after) < 0)
    return err_errno (err, "stat %s in the guest", path);
  targets->items = xreallocarray (targets->items, targets->count + 1, sizeof targets->items[0]);
  targets->items[targets->count++] = (struct target){
      .dir_fd = steal_fd (dir_fd),
      .name = xstrdup (name),
      .directory = directory,
      .ino = made.st_ino,
      .before = before.st_mtim,
      .after = after.st_mtim,
  };
  return 0;
}

/* "/a/b/c" -> "/a/b" and a pointer to "c" in @path; trailing slashes are cut off. */
static char *split (char *path, const char **ret_name)
{
  size_t len = strlen (path);

  while (len > 1 && path[len - 1] == '/')
    path[--len] = '\0';
  char *slash = strrchr (path, '/');
  *ret_name = slash + 1;
  return slash == path ? xstrdup ("/") : xstrndup (path, (size_t) (slash - path));
}

static int prepare (struct targets *targets, int root_fd, const char *wanted, bool directory,
                    int depth, struct err *err)
{
  autofree char *path = xstrdup (wanted);

  if (depth > DEPTH_MAX)
    return err_code (err, ELOOP, "%s in the guest is too deep", wanted);
  for (int links = 0; links < SYMLINKS_MAX; links++) {
    const char *name;
    autofree char *dir = split (path, &name);
    char target[PATH_MAX];
    struct stat st;

    if (!*name || strcmp (name, ".") == 0 || strcmp (name, "..") == 0) {
      /* "/" or a link to "..": it is there, or it is no place for a mount. */
      if (directory)
        return 0;
      return err_code (err, EISDIR, "%s in the guest is a directory", wanted);
    }
    autoclose int dir_fd = fd_open_in_root (root_fd, dir, O_RDONLY | O_DIRECTORY, 0);
    if (dir_fd < 0 && errno == ENOENT) {
      if (prepare (targets, root_fd, dir, /* directory= */ true, depth + 1, err) < 0)
        return -err->code;
      dir_fd = fd_open_in_root (root_fd, dir, O_RDONLY | O_DIRECTORY, 0);
    }
    if (dir_fd < 0)
      return err_errno (err, "open %s in the guest", dir);
    if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno != ENOENT)
        return err_errno (err, "stat %s in the guest", path);
      return make (targets, &dir_fd, name, directory, path, err);
    }
    if (!S_ISLNK (st.st_mode)) {
      if (directory == !!S_ISDIR (st.st_mode))
        return 0;
      return err_code (err, directory ? ENOTDIR : EISDIR, "%s in the guest is %s a directory",
                       wanted, directory ? "not" : "");
    }
    ssize_t len = readlinkat (dir_fd, name, target, sizeof target - 1);
    if (len < 0)
      return err_errno (err, "read the symlink %s in the guest", path);
    target[len] = '\0';
    char *next = target[0] == '/' ? xstrdup (target) : xasprintf ("%s/%s", dir, target);
    free (path);
    path = next;
  }
  return err_code (err, ELOOP, "%s in the guest has too many symlinks", wanted);
}

int targets_prepare (struct targets *targets, int root_fd, const char *path, bool directory,
                     struct err *err)
{
  return prepare (targets, root_fd, path, directory, 0, err);
}

int targets_check_links (int root_fd, struct err *err)
{
  static const char *const names[] = {"dev", "proc", "sys"};
  struct stat st;

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (fstatat (root_fd, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT)
        continue;
      return err_errno (err, "stat /%s in the guest", names[i]);
    }
    if (!S_ISDIR (st.st_mode))
      return err_code (err, ENOTDIR, "/%s in the guest is not a directory", names[i]);
  }
  return 0;
}

static bool same_time (const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int undo (const struct target *target, struct err *err)
{
  struct stat st, dir;

  if (fstat (target->dir_fd, &dir) < 0)
    return err_errno (err, "stat the directory of %s in the guest", target->name);
  if (fstatat (target->dir_fd, target->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s in the guest", target->name);
  if (st.st_ino != target->ino || target->directory != !!S_ISDIR (st.st_mode) ||
      (!target->directory && st.st_size > 0))
    return 0; /* the guest has put something of its own there */
  if (unlinkat (target->dir_fd, target->name, target->directory ? AT_REMOVEDIR : 0) < 0)
    return errno == ENOTEMPTY ? 0 : err_errno (err, "remove %s from the guest", target->name);
  struct timespec times[2] = {
      {.tv_nsec = UTIME_OMIT},
      same_time (&dir.st_mtim, &target->after) ? target->before : dir.st_mtim,
  };
  if (futimens (target->dir_fd, times) < 0)
    return err_errno (err, "put the time of the directory of %s back", target->name);
  return 0;
}

int targets_undo (struct targets *targets, struct err *err)
{
  int ret = 0;

  for (size_t i = targets->count; i-- > 0;) {
    autoerr struct err one = {0};

    if (undo (&targets->items[i], &one) < 0 && ret == 0)
      ret = err_code (err, one.code, "%s", err_text (&one));
  }
  targets_release (targets);
  return ret;
}
