/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unpack_internal.h"
#include "template/acl.h"
#include "template/net.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <inttypes.h>

enum { READ_SIZE = 256 << 10 };

int unpack_err (struct unpacking *input, struct err *err)
{
  const char *text = libarchive.archive_error_string (input->archive);

  if (interrupt_check (err) < 0)
    return -err->code;
  if (input->err->code)
    return err_code (err, input->err->code, "%s", err_text (input->err));
  return err_code (err, EBADMSG, "read the archive: %s", text ? text : "unknown error");
}

/* Decompressing is bounded here, as it may go on and on without anything that is written. */
static int check_size (struct unpacking *input, struct err *err)
{
  la_int64_t bytes = libarchive.archive_filter_bytes (input->archive, 0);
  uint64_t unpacked =
      bytes > 0 && (uint64_t) bytes > input->written ? (uint64_t) bytes : input->written;
  uint64_t maximum = input->from->max_unpacked;

  if (maximum && unpacked > maximum)
    return err_code (err, EFBIG, "refused: it unpacks to more than %" PRIu64 " bytes", maximum);
  if (!maximum && unpacked > UNPACK_FREE && unpacked / UNPACK_RATIO > input->done)
    return err_code (err, EFBIG,
                     "refused: it unpacks to more than %d times its size; \"max_unpacked\" allows "
                     "that, up to a size",
                     UNPACK_RATIO);
  return 0;
}

static ssize_t read_fd (struct unpacking *input, const void **ret_buffer)
{
  for (;;) {
    ssize_t n = read (input->from->fd, input->buffer, READ_SIZE);

    *ret_buffer = input->buffer;
    /* libarchive itself would go on after a signal. */
    if (n >= 0 || errno != EINTR || interrupt_pending ())
      return n;
  }
}

static la_ssize_t read_input (struct archive *archive, void *data, const void **ret_buffer)
{
  struct unpacking *input = data;
  size_t len = 0;
  ssize_t n;

  if (check_size (input, input->err) < 0) {
    libarchive.archive_set_error (archive, EFBIG, "too large");
    return -1;
  }
  if (input->from->read) {
    int ret = input->from->read (input->from->data, ret_buffer, &len, input->err);
    n = ret < 0 ? -1 : ret ? (ssize_t) len : 0;
    errno = ret < 0 ? EIO : 0;
  } else {
    n = read_fd (input, ret_buffer);
    if (n > 0)
      net_show ("reading", input->done + (uint64_t) n, input->total, input->start_us);
  }
  if (n < 0)
    libarchive.archive_set_error (archive, errno, "%s", strerror (errno));
  else
    input->done += (uint64_t) n;
  return n;
}

static la_int64_t seek_input (struct archive *archive, void *data, la_int64_t offset, int whence)
{
  struct unpacking *input = data;
  off_t at = lseek (input->from->fd, offset, whence);

  if (at < 0) {
    libarchive.archive_set_error (archive, errno, "seek: %s", strerror (errno));
    return ARCHIVE_FATAL;
  }
  return at;
}

/* A filter or format that this libarchive was built without is no error: the archive may not need
 * it. */
static void choose_formats (struct archive *archive)
{
  int (*const choices[]) (struct archive *) = {
      libarchive.archive_read_support_filter_gzip,
      libarchive.archive_read_support_filter_bzip2,
      libarchive.archive_read_support_filter_xz,
      libarchive.archive_read_support_filter_lzma,
      libarchive.archive_read_support_filter_lzip,
      libarchive.archive_read_support_filter_zstd,
      libarchive.archive_read_support_filter_lz4,
      libarchive.archive_read_support_filter_compress,
      libarchive.archive_read_support_format_tar,
      libarchive.archive_read_support_format_cpio,
      libarchive.archive_read_support_format_zip,
      libarchive.archive_read_support_format_7zip,
      libarchive.archive_read_support_format_iso9660,
      libarchive.archive_read_support_format_xar,
  };

  for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
    choices[i](archive);
}

static struct archive *open_archive (struct unpacking *input, struct err *err)
{
  struct stat st;

  if (libarchive_load (err) < 0)
    return NULL;
  autoarchive struct archive *archive = libarchive.archive_read_new ();
  if (!archive)
    err_out_of_memory ();
  input->archive = archive;
  choose_formats (archive);
  libarchive.archive_read_set_read_callback (archive, read_input);
  libarchive.archive_read_set_callback_data (archive, input);
  if (!input->from->read && fstat (input->from->fd, &st) == 0 && S_ISREG (st.st_mode)) {
    input->total = (uint64_t) st.st_size;
    libarchive.archive_read_set_seek_callback (archive, seek_input);
  }
  if (libarchive.archive_read_open1 (archive) != ARCHIVE_OK) {
    unpack_err (input, err);
    return NULL;
  }
  return steal_ptr (&archive);
}

static int convert_xattrs (struct archive_entry *from, struct entry *entry, struct err *err)
{
  const char *name;
  const void *value;
  size_t len;

  libarchive.archive_entry_xattr_reset (from);
  while (libarchive.archive_entry_xattr_next (from, &name, &value, &len) == ARCHIVE_OK)
    if (entry_set_xattr (entry, name, value, len, err) < 0)
      return -err->code;
  return acl_from_archive (from, entry, err);
}

static int convert_entry (struct archive_entry *from, struct entry *entry, struct err *err)
{
  la_int64_t uid = libarchive.archive_entry_uid (from), gid = libarchive.archive_entry_gid (from);

  /* The last number is "no id" to the kernel. */
  if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
    return err_code (err, EINVAL, "its owner %lld:%lld is out of range", (long long) uid,
                     (long long) gid);
  *entry = (struct entry){
      .mode = libarchive.archive_entry_mode (from),
      .uid = (uid_t) uid,
      .gid = (gid_t) gid,
      .rdev = libarchive.archive_entry_rdev (from),
      .mtime = {.tv_nsec = UTIME_OMIT},
  };
  if (libarchive.archive_entry_mtime_is_set (from))
    entry->mtime = (struct timespec){.tv_sec = libarchive.archive_entry_mtime (from),
                                     .tv_nsec = libarchive.archive_entry_mtime_nsec (from)};
  if (entry->mtime.tv_nsec != UTIME_OMIT &&
      (entry->mtime.tv_nsec < 0 || entry->mtime.tv_nsec >= 1000000000))
    return err_code (err, EINVAL, "its time is out of range");
  return convert_xattrs (from, entry, err);
}

static int unpack_data (struct writer *writer, struct unpacking *input, struct archive_entry *from,
                        struct err *err)
{
  uint64_t end = 0;

  for (;;) {
    const void *data;
    size_t len;
    la_int64_t offset;
    int ret = libarchive.archive_read_data_block (input->archive, &data, &len, &offset);

    if (ret == ARCHIVE_EOF)
      break;
    if (ret == ARCHIVE_RETRY)
      continue;
    if (ret != ARCHIVE_OK)
      return unpack_err (input, err);
    if (!len)
      continue;
    input->written += len;
    if (check_size (input, err) < 0)
      return -err->code;
    if (offset < 0 || writer_file_data (writer, data, len, (uint64_t) offset, err) < 0)
      return err->code ? -err->code : err_code (err, EBADMSG, "a negative offset");
    end = (uint64_t) offset + len;
  }
  if (libarchive.archive_entry_size_is_set (from) && libarchive.archive_entry_size (from) > 0 &&
      (uint64_t) libarchive.archive_entry_size (from) > end)
    end = (uint64_t) libarchive.archive_entry_size (from);
  return writer_file_end (writer, end, err);
}

static int unpack_file (struct writer *writer, struct unpacking *input, struct archive_entry *from,
                        const char *path, const struct entry *entry, struct err *err)
{
  if (writer_file_begin (writer, path, entry, err) < 0)
    return -err->code;
  if (unpack_data (writer, input, from, err) < 0) {
    autofree char *quoted = path_quote (path);

    return err_wrap (err, "%s", quoted);
  }
  return 0;
}

/* Names that cannot be said in the locale come from formats that store UTF-16. */
static const char *entry_path (struct archive_entry *from)
{
  const char *path = libarchive.archive_entry_pathname (from);

  return path ? path : libarchive.archive_entry_pathname_utf8 (from);
}

const char *unpack_hardlink (struct archive_entry *from)
{
  const char *target = libarchive.archive_entry_hardlink (from);

  return target ? target : libarchive.archive_entry_hardlink_utf8 (from);
}

static const char *entry_symlink (struct archive_entry *from)
{
  const char *target = libarchive.archive_entry_symlink (from);

  return target ? target : libarchive.archive_entry_symlink_utf8 (from);
}

int unpack_entry (struct writer *writer, struct unpacking *input, struct archive_entry *from,
                  const char *path, struct err *err)
{
  const char *target = unpack_hardlink (from);
  autoentry struct entry entry = {0};

  if (target && libarchive.archive_entry_size (from) <= 0)
    return writer_link (writer, path, target, err);
  if (convert_entry (from, &entry, err) < 0) {
    autofree char *quoted = path_quote (path);

    xattrs_release (&entry.xattrs);
    return err_wrap (err, "%s", quoted);
  }
  if (target) {
    entry.mode = (entry.mode & 07777) | S_IFREG;
    if (unpack_file (writer, input, from, path, &entry, err) < 0)
      return -err->code;
    return writer_regroup (writer, target, err);
  }
  switch (entry.mode & S_IFMT) {
  case S_IFDIR:
    return writer_directory (writer, path, &entry, err);
  case S_IFREG:
    return unpack_file (writer, input, from, path, &entry, err);
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
  const char *text = libarchive.archive_error_string (archive);

  return text && strstr (text, "can't be converted from") != NULL;
}

int unpack_next (struct unpacking *input, struct archive_entry **ret_entry, const char **ret_path,
                 struct err *err)
{
  int ret;

  do
    ret = libarchive.archive_read_next_header (input->archive, ret_entry);
  while (ret == ARCHIVE_RETRY);
  if (ret == ARCHIVE_EOF)
    return 0;
  if (ret != ARCHIVE_OK && !(ret == ARCHIVE_WARN && only_charset (input->archive)))
    return unpack_err (input, err);
  *ret_path = entry_path (*ret_entry);
  if (!*ret_path)
    return err_code (err, EBADMSG, "read the archive: an entry has no usable name");
  return 1;
}

static int unpack_entries (struct writer *writer, struct unpacking *input, struct err *err)
{
  struct archive_entry *entry;
  const char *path;
  int ret;

  while ((ret = unpack_next (input, &entry, &path, err)) > 0)
    if (unpack_entry (writer, input, entry, path, err) < 0)
      return -err->code;
  return ret;
}

int unpack_input (struct writer *writer, const struct unpack_input *from, struct err *err)
{
  autoerr struct err read_err = {0};
  autofree char *buffer = from->read ? NULL : xmalloc (READ_SIZE);
  struct unpacking input = {
      .from = from, .err = &read_err, .buffer = buffer, .start_us = clock_us ()};
  autoarchive struct archive *archive = open_archive (&input, err);

  if (!archive)
    return -err->code;
  return unpack_entries (writer, &input, err);
}

int unpack_archive (struct writer *writer, int fd, struct err *err)
{
  struct unpack_input input = {.fd = fd};

  return unpack_input (writer, &input, err);
}

bool unpack_needs_seek (const void *start, size_t len)
{
  static const struct {
    const char *bytes;
    size_t len;
  } magics[] = {{"PK\3\4", 4}, {"PK\5\6", 4}, {"7z\xbc\xaf\x27\x1c", 6}};

  for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
    if (len >= magics[i].len && memcmp (start, magics[i].bytes, magics[i].len) == 0)
      return true;
  return false;
}
