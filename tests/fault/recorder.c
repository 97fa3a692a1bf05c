/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* recorder IMAGE LOG MOUNTPOINT
 *
 * A file system with one file, "image": reads and writes go to IMAGE, and each write and each fsync
 * is appended to LOG in the order in which they came. A loop device over it shows what a disk would
 * be told: it writes past the page cache, and a flush is an fsync of the file. Runs in the
 * foreground until it is unmounted. */
#define FUSE_USE_VERSION 31
#include "util/fd.h"
#include "write_log.h"
#include <fuse.h>

static int image_fd = -1, log_fd = -1;

static bool is_image (const char *path)
{
  return strcmp (path, "/image") == 0;
}

static int on_getattr (const char *path, struct stat *st, struct fuse_file_info *info)
{
  (void) info;
  if (is_image (path))
    return fstat (image_fd, st) < 0 ? -errno : 0;
  if (strcmp (path, "/") != 0)
    return -ENOENT;
  *st = (struct stat){.st_mode = S_IFDIR | 0700, .st_nlink = 2};
  return 0;
}

static int on_readdir (const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                       struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
  (void) path;
  (void) offset;
  (void) info;
  (void) flags;
  fill (buffer, ".", NULL, 0, 0);
  fill (buffer, "..", NULL, 0, 0);
  fill (buffer, "image", NULL, 0, 0);
  return 0;
}

static int on_open (const char *path, struct fuse_file_info *info)
{
  if (!is_image (path))
    return -ENOENT;
  info->direct_io = 1;
  return 0;
}

static int on_read (const char *path, char *data, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
  (void) path;
  (void) info;
  ssize_t len = pread (image_fd, data, size, offset);
  return len < 0 ? -errno : (int) len;
}

static int add_record (uint32_t type, const char *data, size_t size, off_t offset)
{
  struct log_header header = {.type = type, .length = (uint32_t) size, .offset = (uint64_t) offset};

  if (fd_write_all (log_fd, &header, sizeof header) < 0 || fd_write_all (log_fd, data, size) < 0)
    return -errno;
  return 0;
}

static int on_write (const char *path, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *info)
{
  (void) path;
  (void) info;
  ssize_t len = pwrite (image_fd, data, size, offset);
  if (len < 0)
    return -errno;
  int ret = add_record (LOG_WRITE, data, (size_t) len, offset);
  return ret < 0 ? ret : (int) len;
}

static int on_fsync (const char *path, int data_only, struct fuse_file_info *info)
{
  (void) path;
  (void) data_only;
  (void) info;
  return add_record (LOG_FLUSH, NULL, 0, 0);
}

int main (int argc, char **argv)
{
  static const struct fuse_operations operations = {
      .getattr = on_getattr,
      .readdir = on_readdir,
      .open = on_open,
      .read = on_read,
      .write = on_write,
      .fsync = on_fsync,
  };
  char foreground[] = "-f", single[] = "-s";

  if (argc != 4) {
    fprintf (stderr, "usage: recorder IMAGE LOG MOUNTPOINT\n");
    return 2;
  }
  image_fd = open (argv[1], O_RDWR | O_CLOEXEC);
  log_fd = open (argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (image_fd < 0 || log_fd < 0) {
    perror (image_fd < 0 ? argv[1] : argv[2]);
    return 1;
  }
  /* One thread: the order of the log is the order in which the writes were done. */
  char *arguments[] = {argv[0], foreground, single, argv[3], NULL};
  return fuse_main (4, arguments, &operations, NULL);
}
