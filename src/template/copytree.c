/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "copytree.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/strbuf.h"
#include <linux/openat2.h>
#include <sys/syscall.h>

enum { READ_SIZE = 256 << 10, PATH_LENGTH_MAX = 1 << 20 };

struct copy {
  struct writer *writer;
  dev_t skip_dev;
  ino_t skip_ino;
  char *buffer;       /* owned; READ_SIZE bytes */
  struct strbuf path; /* owned */
  bool failed;        /* the error has the path already */
};

/* EXDEV for what is mounted, bind mounts included. */
static int open_unmounted (int dir_fd, const char *name, int flags)
{
  struct open_how how = {
      .flags = (uint64_t) (flags | O_CLOEXEC | O_NOFOLLOW),
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
  };
  long fd;

  do
    fd = syscall (SYS_openat2, dir_fd, name, &how, sizeof how);
  while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return (int) fd;
}

/* The data between @at and @end. */
static int copy_range (struct copy *copy, int fd, uint64_t at, uint64_t end, struct err *err)
{
  while (at < end) {
    size_t want = end - at < READ_SIZE ? (size_t) (end - at) : READ_SIZE;
    ssize_t n = pread (fd, copy->buffer, want, (off_t) at);

    if (n < 0 && errno == EINTR)
      n = interrupt_check (err) < 0 ? -1 : 0;
    else if (n == 0)
      return 0; /* it became shorter while it was read */
    if (n < 0)
      return err->code ? -err->code : err_errno (err, "read it");
    if (n && writer_file_data (copy->writer, copy->buffer, (size_t) n, at, err) < 0)
      return -err->code;
    at += (uint64_t) n;
  }
  return 0;
}

static int copy_data (struct copy *copy, int fd, uint64_t size, struct err *err)
{
  uint64_t at = 0;

  while (at < size) {
    off_t data = lseek (fd, (off_t) at, SEEK_DATA);
    off_t hole = (off_t) size;

    if (data < 0 && errno == ENXIO)
      return 0; /* only a hole is left */
    if (data < 0) {
      data = (off_t) at; /* a file system that cannot tell */
    } else {
      hole = lseek (fd, data, SEEK_HOLE);
      if (hole < 0 || (uint64_t) hole > size)
        hole = (off_t) size;
    }
    if (copy_range (copy, fd, (uint64_t) data, (uint64_t) hole, err) < 0)
      return -err->code;
    at = (uint64_t) hole;
  }
  return 0;
}

static int copy_file (struct copy *copy, int dir_fd, const char *name, struct err *err)
{
  const char *path = strbuf_str (&copy->path);
  autoentry struct entry entry = {0};
  autoclose int fd = open_unmounted (dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME);
  struct stat st;

  if (fd < 0 && errno == EXDEV) {
    copy->writer->report.mounts++;
    return 0;
  }
  if (fd < 0)
    return err_errno (err, "open it");
  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat it");
  if (!S_ISREG (st.st_mode))
    return err_code (err, ESTALE, "it changed while it was read");
  if (entry_read (fd, -1, name, &st, &entry, err) < 0 ||
      writer_file_begin (copy->writer, path, &entry, err) < 0)
    return -err->code;
  writer_file_clone (copy->writer, fd);
  if (copy_data (copy, fd, (uint64_t) st.st_size, err) < 0 ||
      writer_file_end (copy->writer, (uint64_t) st.st_size, err) < 0)
    return -err->code;
  return 0;
}

static int copy_node (struct copy *copy, int dir_fd, const char *name, const struct stat *st,
                      struct err *err)
{
  const char *path = strbuf_str (&copy->path);
  autoentry struct entry entry = {0};

  if (entry_read (-1, dir_fd, name, st, &entry, err) < 0)
    return -err->code;
  if (!S_ISLNK (st->st_mode))
    return writer_special (copy->writer, path, &entry, err);
  autofree char *target = xcalloc (1, (size_t) st->st_size + 1);
  if (readlinkat (dir_fd, name, target, (size_t) st->st_size) < 0)
    return err_errno (err, "read the symlink");
  return writer_symlink (copy->writer, path, &entry, target, err);
}

static int copy_directory (struct copy *copy, int fd, struct err *err);

static int copy_subdirectory (struct copy *copy, int dir_fd, const char *name,
                              const struct stat *st, struct err *err)
{
  const char *path = strbuf_str (&copy->path);
  autoclose int fd = open_unmounted (dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOATIME);
  bool ours = st->st_dev == copy->skip_dev && st->st_ino == copy->skip_ino;

  if (fd < 0 && errno != EXDEV)
    return err_errno (err, "open it");
  if (fd >= 0 && !ours)
    return copy_directory (copy, fd, err);
  struct entry empty = {.mode = S_IFDIR | (st->st_mode & 07777),
                        .uid = st->st_uid,
                        .gid = st->st_gid,
                        .mtime = st->st_mtim};
  copy->writer->report.mounts++;
  return writer_directory (copy->writer, path, &empty, err);
}

static int copy_entry (struct copy *copy, int dir_fd, const char *name, struct err *err)
{
  struct stat st;
  int ret;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat it");
  if (S_ISDIR (st.st_mode))
    return copy_subdirectory (copy, dir_fd, name, &st, err);
  if (st.st_nlink > 1 && !S_ISSOCK (st.st_mode)) {
    int known = writer_link_known (copy->writer, strbuf_str (&copy->path), st.st_ino, err);

    if (known)
      return known < 0 ? known : 0;
  }
  if (S_ISREG (st.st_mode))
    ret = copy_file (copy, dir_fd, name, err);
  else
    ret = copy_node (copy, dir_fd, name, &st, err);
  if (ret == 0 && st.st_nlink > 1 && !S_ISSOCK (st.st_mode))
    ret = writer_remember (copy->writer, st.st_ino, err);
  return ret;
}

static int copy_directory (struct copy *copy, int fd, struct err *err)
{
  autodirlist struct dirlist list = {0};
  autoentry struct entry entry = {0};
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat it");
  if (entry_read (fd, -1, NULL, &st, &entry, err) < 0 ||
      writer_directory (copy->writer, strbuf_str (&copy->path), &entry, err) < 0 ||
      dirread_all (fd, &list, err) < 0)
    return -err->code;
  progress_show ("reading", copy->writer->report.files, 0, "files");
  for (size_t i = 0; i < list.count; i++) {
    size_t len = strbuf_push_name (&copy->path, list.items[i].name);

    if (copy->path.failed)
      return err_code (err, ENAMETOOLONG, "a path of more than %d bytes", PATH_LENGTH_MAX);
    if (copy_entry (copy, fd, list.items[i].name, err) < 0) {
      /* Said once, for the innermost one. */
      if (!copy->failed) {
        autofree char *quoted = path_quote (strbuf_str (&copy->path));

        copy->failed = true;
        return err_wrap (err, "copy %s", quoted);
      }
      return -err->code;
    }
    strbuf_truncate (&copy->path, len);
  }
  return 0;
}

int copytree (struct writer *writer, int fd, dev_t skip_dev, ino_t skip_ino, struct err *err)
{
  autofree char *buffer = xmalloc (READ_SIZE);
  struct copy copy = {
      .writer = writer,
      .skip_dev = skip_dev,
      .skip_ino = skip_ino,
      .buffer = buffer,
      .path = STRBUF_INIT (PATH_LENGTH_MAX),
  };
  int ret = copy_directory (&copy, fd, err);

  strbuf_release (&copy.path);
  return ret;
}
