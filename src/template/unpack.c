/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unpack.h"
#include "template/acl.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <archive.h>

enum { READ_SIZE = 256 << 10 };

struct input {
  int fd;
  uint64_t done;
  uint64_t total; /* 0: not known */
  char *buffer;   /* owned; READ_SIZE bytes */
};

static void cleanup_archive (struct archive **archive)
{
  if (*archive)
    archive_read_free (*archive);
}
#define autoarchive __attribute__ ((cleanup (cleanup_archive)))

static int archive_err (struct archive *archive, struct err *err)
{
  const char *text = archive_error_string (archive);

  if (interrupt_check (err) < 0)
    return -err->code;
  return err_code (err, EBADMSG, "read the archive: %s", text ? text : "unknown error");
}

static la_ssize_t read_input (struct archive *archive, void *data, const void **ret_buffer)
{
  struct input *input = data;

  for (;;) {
    ssize_t n = read (input->fd, input->buffer, READ_SIZE);

    if (n >= 0) {
      input->done += (uint64_t) n;
      if (input->total)
        progress_show ("reading", input->done >> 20, input->total >> 20, "MiB");
      else
        progress_show ("reading", input->done >> 20, 0, "MiB");
      *ret_buffer = input->buffer;
      return n;
    }
    /* libarchive itself would go on after a signal. */
    if (errno == EINTR && !interrupt_pending ())
      continue;
    archive_set_error (archive, errno, "%s", strerror (errno));
    return -1;
  }
}

static la_int64_t seek_input (struct archive *archive, void *data, la_int64_t offset, int whence)
{
  struct input *input = data;
  off_t at = lseek (input->fd, offset, whence);

  if (at < 0) {
    archive_set_error (archive, errno, "seek: %s", strerror (errno));
    return ARCHIVE_FATAL;
  }
  return at;
}

/* A filter or format that this libarchive was built without is no error: the archive may not need
 * it. */
static void choose_formats (struct archive *archive)
{
  static int (*const choices[]) (struct archive *) = {
      archive_read_support_filter_gzip,    archive_read_support_filter_bzip2,
      archive_read_support_filter_xz,      archive_read_support_filter_lzma,
      archive_read_support_filter_lzip,    archive_read_support_filter_zstd,
      archive_read_support_filter_lz4,     archive_read_support_filter_compress,
      archive_read_support_format_tar,     archive_read_support_format_cpio,
      archive_read_support_format_zip,     archive_read_support_format_7zip,
      archive_read_support_format_iso9660, archive_read_support_format_xar,
  };

  for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
    choices[i](archive);
}

static struct archive *open_archive (struct input *input, struct err *err)
{
  autoarchive struct archive *archive = archive_read_new ();
  struct stat st;

  if (!archive)
    err_out_of_memory ();
  choose_formats (archive);
  archive_read_set_read_callback (archive, read_input);
  archive_read_set_callback_data (archive, input);
  if (fstat (input->fd, &st) == 0 && S_ISREG (st.st_mode)) {
    input->total = (uint64_t) st.st_size;
    archive_read_set_seek_callback (archive, seek_input);
  }
  if (archive_read_open1 (archive) != ARCHIVE_OK) {
    archive_err (archive, err);
    return NULL;
  }
  return steal_ptr (&archive);
}

static int convert_xattrs (struct archive_entry *from, struct entry *entry, struct err *err)
{
  const char *name;
  const void *value;
  size_t len;

  archive_entry_xattr_reset (from);
  while (archive_entry_xattr_next (from, &name, &value, &len) == ARCHIVE_OK)
    if (entry_set_xattr (entry, name, value, len, err) < 0)
      return -err->code;
  return acl_from_archive (from, entry, err);
}

static int convert_entry (struct archive_entry *from, struct entry *entry, struct err *err)
{
  la_int64_t uid = archive_entry_uid (from), gid = archive_entry_gid (from);

  /* The last number is "no id" to the kernel. */
  if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
    return err_code (err, EINVAL, "its owner %lld:%lld is out of range", (long long) uid,
                     (long long) gid);
  *entry = (struct entry){
      .mode = archive_entry_mode (from),
      .uid = (uid_t) uid,
      .gid = (gid_t) gid,
      .rdev = archive_entry_rdev (from),
      .mtime = {.tv_nsec = UTIME_OMIT},
  };
  if (archive_entry_mtime_is_set (from))
    entry->mtime = (struct timespec){.tv_sec = archive_entry_mtime (from),
                                     .tv_nsec = archive_entry_mtime_nsec (from)};
  if (entry->mtime.tv_nsec != UTIME_OMIT &&
      (entry->mtime.tv_nsec < 0 || entry->mtime.tv_nsec >= 1000000000))
    return err_code (err, EINVAL, "its time is out of range");
  return convert_xattrs (from, entry, err);
}

static int unpack_data (struct writer *writer, struct archive *archive, struct archive_entry *from,
                        struct err *err)
{
  uint64_t end = 0;

  for (;;) {
    const void *data;
    size_t len;
    la_int64_t offset;
    int ret = archive_read_data_block (archive, &data, &len, &offset);

    if (ret == ARCHIVE_EOF)
      break;
    if (ret == ARCHIVE_RETRY)
      continue;
    if (ret != ARCHIVE_OK)
      return archive_err (archive, err);
    if (!len)
      continue;
    if (offset < 0 || writer_file_data (writer, data, len, (uint64_t) offset, err) < 0)
      return err->code ? -err->code : err_code (err, EBADMSG, "a negative offset");
    end = (uint64_t) offset + len;
  }
  if (archive_entry_size_is_set (from) && archive_entry_size (from) > 0 &&
      (uint64_t) archive_entry_size (from) > end)
    end = (uint64_t) archive_entry_size (from);
  return writer_file_end (writer, end, err);
}

static int unpack_file (struct writer *writer, struct archive *archive, struct archive_entry *from,
                        const char *path, const struct entry *entry, struct err *err)
{
  if (writer_file_begin (writer, path, entry, err) < 0)
    return -err->code;
  if (unpack_data (writer, archive, from, err) < 0) {
    autofree char *quoted = path_quote (path);

    return err_wrap (err, "%s", quoted);
  }
  return 0;
}

/* Names that cannot be said in the locale come from formats that store UTF-16. */
static const char *entry_path (struct archive_entry *from)
{
  const char *path = archive_entry_pathname (from);

  return path ? path : archive_entry_pathname_utf8 (from);
}

static const char *entry_hardlink (struct archive_entry *from)
{
  const char *target = archive_entry_hardlink (from);

  return target ? target : archive_entry_hardlink_utf8 (from);
}

static const char *entry_symlink (struct archive_entry *from)
{
  const char *target = archive_entry_symlink (from);

  return target ? target : archive_entry_symlink_utf8 (from);
}

static int unpack_entry (struct writer *writer, struct archive *archive, struct archive_entry *from,
                         const char *path, struct err *err)
{
  const char *target = entry_hardlink (from);
  autoentry struct entry entry = {0};

  if (target && archive_entry_size (from) <= 0)
    return writer_link (writer, path, target, err);
  if (convert_entry (from, &entry, err) < 0) {
    autofree char *quoted = path_quote (path);

    xattrs_release (&entry.xattrs);
    return err_wrap (err, "%s", quoted);
  }
  if (target) {
    entry.mode = (entry.mode & 07777) | S_IFREG;
    if (unpack_file (writer, archive, from, path, &entry, err) < 0)
      return -err->code;
    return writer_regroup (writer, target, err);
  }
  switch (entry.mode & S_IFMT) {
  case S_IFDIR:
    return writer_directory (writer, path, &entry, err);
  case S_IFREG:
    return unpack_file (writer, archive, from, path, &entry, err);
  case S_IFLNK:
    target = entry_symlink (from);
    return writer_symlink (writer, path, &entry, target ? target : "", err);
  case S_IFCHR:
  case S_IFBLK:
  case S_IFIFO:
  case S_IFSOCK:
    return writer_special (writer, path, &entry, err);
  default: {
    autofree char *quoted = path_quote (path);

    return err_code (err, EINVAL, "%s has an unknown type", quoted);
  }
  }
}

/* In the "C" locale libarchive warns of each name that is not ASCII, and gives its bytes as they
 * are: what is wanted. All other warnings tell of something that would be lost. */
static bool only_charset (struct archive *archive)
{
  const char *text = archive_error_string (archive);

  return text && strstr (text, "can't be converted from") != NULL;
}

int unpack_archive (struct writer *writer, int fd, struct err *err)
{
  autofree char *buffer = xmalloc (READ_SIZE);
  struct input input = {.fd = fd, .buffer = buffer};
  autoarchive struct archive *archive = open_archive (&input, err);
  struct archive_entry *entry;
  int ret;

  if (!archive)
    return -err->code;
  while ((ret = archive_read_next_header (archive, &entry)) != ARCHIVE_EOF) {
    if (ret == ARCHIVE_RETRY)
      continue;
    if (ret != ARCHIVE_OK && !(ret == ARCHIVE_WARN && only_charset (archive)))
      return archive_err (archive, err);
    const char *path = entry_path (entry);
    if (!path)
      return err_code (err, EBADMSG, "read the archive: an entry has no usable name");
    if (unpack_entry (writer, archive, entry, path, err) < 0)
      return -err->code;
  }
  return 0;
}
