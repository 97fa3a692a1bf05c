/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_archive.h"
#include "template/image_document.h"
#include "template/image_ref.h"
#include "template/net.h"
#include "template/unpack_internal.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <inttypes.h>

enum { READ_SIZE = 256 << 10, MEMBERS_MAX = 65536 };

static const char index_name[] = "index.json";

struct reading {
  struct archive *archive; /* owned */
  struct unpacking unpacking;
  struct err err;    /* owned */
  struct path path;  /* owned; of the member */
  uint64_t left;     /* bytes that may still be written */
  uint64_t start_us; /* when it began */
  uint64_t total;    /* bytes of the archive; 0: not known */
  size_t members;    /* written */
};

static void release_reading (struct reading *reading)
{
  cleanup_archive (&reading->archive);
  path_release (&reading->path);
  err_release (&reading->err);
}
#define autoreading __attribute__ ((cleanup (release_reading)))

static int start_reading (struct reading *reading, int fd, struct err *err)
{
  struct stat st;

  if (libarchive_load (err) < 0)
    return -err->code;
  struct archive *archive = libarchive.archive_read_new ();
  if (!archive)
    err_out_of_memory ();
  reading->archive = archive;
  reading->unpacking = (struct unpacking){.archive = archive, .err = &reading->err};
  reading->start_us = clock_us ();
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode))
    reading->total = (uint64_t) st.st_size;
  libarchive.archive_read_support_filter_gzip (archive);
  libarchive.archive_read_support_filter_bzip2 (archive);
  libarchive.archive_read_support_filter_xz (archive);
  libarchive.archive_read_support_filter_zstd (archive);
  libarchive.archive_read_support_format_tar (archive);
  if (libarchive.archive_read_open_fd (archive, fd, READ_SIZE) != ARCHIVE_OK)
    return unpack_err (&reading->unpacking, err);
  return 0;
}

/* The next member that is a regular file: 1 with reading->path; 0 at the end. */
static int next_file (struct reading *reading, struct err *err)
{
  struct archive_entry *entry = NULL;
  const char *name = NULL;
  int ret;

  while ((ret = unpack_next (&reading->unpacking, &entry, &name, err)) > 0) {
    if (interrupt_check (err) < 0 || path_split (&reading->path, name, err) < 0)
      return -err->code;
    if (libarchive.archive_entry_filetype (entry) == AE_IFREG && !unpack_hardlink (entry))
      return 1;
  }
  return ret;
}

/* Does the member belong to a layout? Then the directory that it is in, of up to two names. */
static bool is_wanted (const struct path *path)
{
  autoerr struct err err = {0};
  struct checksum digest;

  if (path->count == 1)
    return strcmp (path->parts[0], index_name) == 0 || strcmp (path->parts[0], "oci-layout") == 0;
  if (path->count != 3 || strcmp (path->parts[0], "blobs") != 0)
    return false;
  autofree char *text = xasprintf ("%s:%s", path->parts[1], path->parts[2]);
  return image_digest_parse (text, &digest, &err) == 0;
}

static int write_data (struct reading *reading, int fd, struct err *err)
{
  for (;;) {
    const void *data;
    size_t len = 0;
    la_int64_t offset;
    int ret = libarchive.archive_read_data_block (reading->archive, &data, &len, &offset);

    if (ret == ARCHIVE_EOF)
      return 0;
    if (ret == ARCHIVE_RETRY)
      continue;
    if (ret != ARCHIVE_OK || interrupt_check (err) < 0)
      return err->code ? -err->code : unpack_err (&reading->unpacking, err);
    if (len > reading->left)
      return err_code (err, EFBIG,
                       "refused: it unpacks to more than is allowed; \"max_unpacked\" "
                       "allows more");
    reading->left -= len;
    if (lseek (fd, offset, SEEK_SET) < 0 || fd_write_all (fd, data, len) < 0)
      return err_errno (err, "write a file of the image to staging");
    la_int64_t done = libarchive.archive_filter_bytes (reading->archive, -1);
    net_show ("reading", done > 0 ? (uint64_t) done : 0, reading->total, reading->start_us);
  }
}

static int write_member (struct reading *reading, int dir_fd, struct err *err)
{
  const struct path *path = &reading->path;
  autoclose int top = -1, sub = -1;
  int at = dir_fd;

  if (++reading->members > MEMBERS_MAX)
    return err_code (err, EFBIG, "refused: it has more than %d files", MEMBERS_MAX);
  if (path->count == 3) {
    top = fd_make_dir (dir_fd, path->parts[0], 0700);
    at = sub = top < 0 ? -1 : fd_make_dir (top, path->parts[1], 0700);
    if (sub < 0)
      return err_errno (err, "make a directory in staging");
  }
  const char *name = path->parts[path->count - 1];
  autoclose int fd = fd_open (at, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (fd < 0 && errno == EEXIST)
    return err_code (err, EBADMSG, "the archive has %s twice", name);
  if (fd < 0)
    return err_errno (err, "create a file in staging");
  return write_data (reading, fd, err);
}

int image_archive_unpack (int fd, int dir_fd, uint64_t maximum, struct err *err)
{
  autoreading struct reading reading = {.left = maximum};
  int ret;

  if (start_reading (&reading, fd, err) < 0)
    return -err->code;
  while ((ret = next_file (&reading, err)) > 0)
    if (is_wanted (&reading.path) && write_member (&reading, dir_fd, err) < 0)
      return -err->code;
  return ret;
}

int image_archive_index (int fd, char **ret_text, size_t *ret_len, struct err *err)
{
  autoreading struct reading reading = {0};
  int ret;

  if (start_reading (&reading, fd, err) < 0)
    return -err->code;
  while ((ret = next_file (&reading, err)) > 0)
    if (reading.path.count == 1 && strcmp (reading.path.parts[0], index_name) == 0)
      break;
  if (ret <= 0)
    return ret < 0 ? ret : err_code (err, ENOENT, "there is no %s in the archive", index_name);
  autofree char *text = xcalloc (IMAGE_DOCUMENT_MAX + 2, 1);
  la_ssize_t n, len = 0;
  while ((n = libarchive.archive_read_data (reading.archive, text + len,
                                            (size_t) (IMAGE_DOCUMENT_MAX + 1 - len))) > 0)
    len += n;
  if (n < 0)
    return unpack_err (&reading.unpacking, err);
  if (len > IMAGE_DOCUMENT_MAX)
    return err_code (err, EBADMSG, "%s has more than %d bytes", index_name, IMAGE_DOCUMENT_MAX);
  *ret_text = steal_ptr (&text);
  *ret_len = (size_t) len;
  return 0;
}
