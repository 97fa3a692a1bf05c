/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fd.h"
#include "metaentry.h"
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>

int fd_open (int dir_fd, const char *name, int flags, mode_t mode)
{
  int fd;

  do
    fd = openat (dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

int fd_open_dir (int dir_fd, const char *name)
{
  return fd_open (dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
}

static int open_how (int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
  struct open_how how = {
      .flags = (uint64_t) (flags | O_CLOEXEC),
      .mode = flags & O_CREAT ? mode : 0,
      .resolve = resolve,
  };
  long fd;

  do
    fd = syscall (SYS_openat2, dir_fd, path, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return (int) fd;
}

int fd_open_beneath (int dir_fd, const char *path, int flags)
{
  static const uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  autoclose int at = -1; /* as far as it was opened; -1 is @dir_fd */
  char part[PATH_MAX];

  while (*path == '/')
    path++;
  for (;;) {
    size_t len = strlen (path);

    /* As many whole components as the kernel takes in one call. */
    if (len < sizeof part)
      return open_how (at < 0 ? dir_fd : at, len ? path : ".", flags | O_NOFOLLOW, 0, resolve);
    len = sizeof part - 1;
    while (len && path[len] != '/')
      len--;
    if (!len) {
      errno = ENAMETOOLONG;
      return -1;
    }
    memcpy (part, path, len);
    part[len] = '\0';
    int next = open_how (at < 0 ? dir_fd : at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, resolve);
    if (next < 0)
      return -1;
    cleanup_close (&at);
    at = next;
    path += len;
    while (*path == '/')
      path++;
  }
}

int fd_open_dir_beneath (int dir_fd, const char *path)
{
  return fd_open_beneath (dir_fd, path, O_RDONLY | O_DIRECTORY);
}

int fd_open_in_root (int dir_fd, const char *path, int flags, mode_t mode)
{
  return open_how (dir_fd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int fd_make_dir (int dir_fd, const char *name, mode_t mode)
{
  if (mkdirat (dir_fd, name, mode) < 0 && errno != EEXIST)
    return -1;
  return fd_open_dir (dir_fd, name);
}

int fd_write_all (int fd, const void *data, size_t len)
{
  const char *p = data;

  while (len) {
    ssize_t n = write (fd, p, len);

    if (n < 0) {
      if (errno == EINTR)
        continue;
      return -1;
    }
    p += n;
    len -= (size_t) n;
  }
  return 0;
}

ssize_t fd_read_full (int fd, void *data, size_t len)
{
  size_t done = 0;

  while (done < len) {
    ssize_t n = read (fd, (char *) data + done, len - done);

    if (n < 0) {
      if (errno == EINTR)
        continue;
      return -1;
    }
    if (n == 0)
      break;
    done += (size_t) n;
  }
  return (ssize_t) done;
}

int fd_read_file (int dir_fd, const char *name, size_t maximum, char **ret_data, size_t *ret_len,
                  struct err *err)
{
  autoclose int fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat st;
  size_t size = 4096, len = 0;

  if (fd < 0)
    return err_errno (err, "open %s", name);
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat %s", name);
  if (S_ISDIR (st.st_mode))
    return err_code (err, EISDIR, "read %s: it is a directory", name);
  if (metaentry_follow (&fd, &st) < 0)
    return err_errno (err, "open the contents of %s", name);
  if (st.st_size > 0 && (size_t) st.st_size <= maximum)
    size = (size_t) st.st_size + 1;
  autofree char *data = xmalloc (size);
  for (;;) {
    ssize_t n = fd_read_full (fd, data + len, size - len - 1);

    if (n < 0)
      return err_errno (err, "read %s", name);
    len += (size_t) n;
    if (len > maximum)
      return err_code (err, EFBIG, "read %s: it is larger than %zu bytes", name, maximum);
    if (len < size - 1)
      break;
    size *= 2;
    data = xreallocarray (data, size, 1);
  }
  data[len] = '\0';
  if (ret_len)
    *ret_len = len;
  *ret_data = steal_ptr (&data);
  return 0;
}

int fd_write_file (int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
                   struct err *err)
{
  char temp[FD_TEMP_NAME_SIZE];
  int ret = 0;

  fd_temp_name (temp);
  autoclose int fd = fd_open (dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL, mode);
  if (fd < 0)
    return err_errno (err, "create %s", name);
  if (fchmod (fd, mode) < 0 || fd_write_all (fd, data, len) < 0 || fsync (fd) < 0)
    ret = err_errno (err, "write %s", name);
  else if (renameat (dir_fd, temp, dir_fd, name) < 0)
    ret = err_errno (err, "rename to %s", name);
  if (ret < 0) {
    unlinkat (dir_fd, temp, 0);
    return ret;
  }
  autoclose int dir = fd_open_dir (dir_fd, ".");
  if (dir < 0 || fsync (dir) < 0)
    return err_errno (err, "sync the directory of %s", name);
  return 0;
}

static int copy_range (int from, int to, off_t start, off_t end)
{
  static const size_t chunk = 1 << 20;
  autofree char *buffer = NULL;

  while (start < end) {
    loff_t in = start, out = start;
    ssize_t n = copy_file_range (from, &in, to, &out, (size_t) (end - start), 0);

    if (n > 0) {
      start += n;
      continue;
    }
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
      return -1;
    break;
  }
  if (start < end)
    buffer = xmalloc (chunk);
  while (start < end) {
    size_t want = end - start < (off_t) chunk ? (size_t) (end - start) : chunk;
    ssize_t n = pread (from, buffer, want, start);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break; /* the file became shorter: ftruncate by the caller keeps the size */
    for (ssize_t done = 0; done < n;) {
      ssize_t w = pwrite (to, buffer + done, (size_t) (n - done), start + done);

      if (w < 0 && errno == EINTR)
        continue;
      if (w < 0)
        return -1;
      done += w;
    }
    start += n;
  }
  return 0;
}

int fd_copy_contents (int from, int to, off_t size)
{
  off_t at = 0;

  if (size == 0)
    return 0;
  if (ioctl (to, FICLONE, from) == 0)
    return 0;
  if (ftruncate (to, size) < 0)
    return -1;
  while (at < size) {
    off_t data = lseek (from, at, SEEK_DATA);
    off_t hole;

    if (data < 0) {
      if (errno == ENXIO)
        break; /* only a hole is left */
      if (errno != EINVAL && errno != EOPNOTSUPP)
        return -1;
      data = at;
      hole = size;
    } else {
      hole = lseek (from, data, SEEK_HOLE);
      if (hole < 0 || hole > size)
        hole = size;
    }
    if (data >= size)
      break;
    if (copy_range (from, to, data, hole) < 0)
      return -1;
    at = hole;
  }
  return 0;
}

void fd_make_room (int count)
{
  int last = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, count - 1);

  if (last >= 0)
    close (last);
}

int fd_sync_fs (int fd, struct err *err)
{
  if (syncfs (fd) < 0)
    return err_errno (err, "write everything to the disk (syncfs)");
  return 0;
}

int fd_rename (int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
  return (int) syscall (SYS_renameat2, from_dir, from, to_dir, to, flags);
}

void fd_temp_name (char *name)
{
  uint64_t r;

  while (getrandom (&r, sizeof r, 0) != (ssize_t) sizeof r)
    ;
  snprintf (name, FD_TEMP_NAME_SIZE, ".vg-%016" PRIx64, r);
}

char *fd_proc_path (int fd, const char *name)
{
  return name ? xasprintf ("/proc/self/fd/%d/%s", fd, name) : xasprintf ("/proc/self/fd/%d", fd);
}

/* What a removal has open at most, at a time. Deeper directories are moved up to the top of what is
 * removed first, and then they are not deep any more. */
enum { REMOVE_DEPTH = 32 };

struct removal {
  dev_t dev;
  int top_fd; /* borrowed: the directory that is removed */
  bool moved; /* something was moved there */
};

static int remove_contents (struct removal *removal, int fd, unsigned depth, struct err *err);

static int remove_entry (struct removal *removal, int dir_fd, const char *name, unsigned depth,
                         struct err *err)
{
  if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
    return 0;
  if (errno != EISDIR && errno != EPERM)
    return err_errno (err, "remove %s", name);

  autoclose int fd = fd_open_dir (dir_fd, name);
  struct stat st;
  if (fd < 0)
    return err_errno (err, "open %s to remove it", name);
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat %s to remove it", name);
  if (st.st_dev != removal->dev)
    return err_code (err, EBUSY, "%s is a mount point and is not removed: unmount it first", name);
  if (depth == REMOVE_DEPTH && unlinkat (dir_fd, name, AT_REMOVEDIR) < 0) {
    char temp[FD_TEMP_NAME_SIZE];

    fd_temp_name (temp);
    if (fd_rename (dir_fd, name, removal->top_fd, temp, RENAME_NOREPLACE) < 0)
      return err_errno (err, "move the directory %s to remove it", name);
    removal->moved = true;
    return 0;
  }
  if (depth == REMOVE_DEPTH)
    return 0;
  if (remove_contents (removal, fd, depth + 1, err) < 0)
    return err_wrap (err, "%s", name);
  if (unlinkat (dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
    return err_errno (err, "remove the directory %s", name);
  return 0;
}

static int remove_contents (struct removal *removal, int fd, unsigned depth, struct err *err)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  autodir DIR *dir = copy >= 0 ? fdopendir (copy) : NULL;

  if (!dir) {
    if (copy >= 0)
      close (copy);
    return err_errno (err, "open a directory to remove it");
  }
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir (dir);

    if (!entry)
      return errno ? err_errno (err, "read a directory to remove it") : 0;
    if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
      continue;
    if (remove_entry (removal, fd, entry->d_name, depth, err) < 0)
      return -err->code;
  }
}

/* All that is in the directory @fd, what is moved up to it on the way included. */
static int remove_below (int fd, dev_t dev, struct err *err)
{
  struct removal removal = {.dev = dev, .top_fd = fd, .moved = true};

  while (removal.moved) {
    removal.moved = false;
    if (lseek (fd, 0, SEEK_SET) < 0)
      return err_errno (err, "read a directory to remove it");
    if (remove_contents (&removal, fd, 0, err) < 0)
      return -err->code;
  }
  return 0;
}

int fd_remove_tree (int dir_fd, const char *name, struct err *err)
{
  struct stat st, parent;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s to remove it", name);
  if (!S_ISDIR (st.st_mode)) {
    if (unlinkat (dir_fd, name, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove %s", name);
    return 0;
  }
  if (fstat (dir_fd, &parent) < 0)
    return err_errno (err, "stat the directory of %s", name);
  autoclose int fd = fd_open_dir (dir_fd, name);
  if (fd < 0)
    return err_errno (err, "open %s to remove it", name);
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat %s to remove it", name);
  if (st.st_dev != parent.st_dev)
    return err_code (err, EBUSY, "%s is a mount point and is not removed: unmount it first", name);
  if (remove_below (fd, st.st_dev, err) < 0)
    return err_wrap (err, "%s", name);
  if (unlinkat (dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
    return err_errno (err, "remove the directory %s", name);
  return 0;
}

static int compare_ints (const void *a, const void *b)
{
  return *(const int *) a - *(const int *) b;
}

int fd_close_others (int *kept, size_t count)
{
  int next = STDERR_FILENO + 1;

  qsort (kept, count, sizeof *kept, compare_ints);
  for (size_t i = 0; i < count; i++) {
    if (kept[i] < next)
      continue;
    if (kept[i] > next && syscall (SYS_close_range, next, kept[i] - 1, 0) < 0)
      return -1;
    next = kept[i] + 1;
  }
  return (int) syscall (SYS_close_range, next, ~0U, 0);
}

void fd_raise_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit (RLIMIT_NOFILE, &limit);
  }
}
