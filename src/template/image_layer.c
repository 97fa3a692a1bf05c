/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a layer: digests of its bytes as they are, and of those they stand for. */
#include "image_layer.h"
#include "image_overlay.h"
#include "template/net.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include <inttypes.h>

enum { READ_SIZE = 256 << 10 };

struct input {
  const struct image_layer *layer;
  char *buffer;               /* owned; READ_SIZE bytes */
  struct checksummer *blob;   /* owned; of the file */
  struct checksummer *plain;  /* owned; of the tar archive */
  struct archive *decompress; /* owned */
  uint64_t size;              /* bytes of the file so far */
  uint64_t start_us;
  struct err err; /* owned; why bytes could not be given */
};

static void release_input (struct input *input)
{
  if (input->decompress)
    libarchive.archive_read_free (input->decompress);
  checksummer_free (input->blob);
  checksummer_free (input->plain);
  free (input->buffer);
  err_release (&input->err);
}
#define autoinput __attribute__ ((cleanup (release_input)))

/* The next bytes of the file: their number, 0 at the end, -1 with errno. */
static ssize_t read_blob (struct input *input)
{
  for (;;) {
    ssize_t n = read (input->layer->fd, input->buffer, READ_SIZE);

    if (n < 0 && errno == EINTR && !interrupt_pending ())
      continue;
    if (n > 0) {
      checksummer_add (input->blob, input->buffer, (size_t) n);
      input->size += (uint64_t) n;
      net_show ("unpacking", input->size, input->layer->descriptor->size, input->start_us);
    }
    return n;
  }
}

static la_ssize_t on_read_blob (struct archive *archive, void *data, const void **ret_buffer)
{
  struct input *input = data;
  ssize_t n = read_blob (input);

  *ret_buffer = input->buffer;
  if (n < 0)
    libarchive.archive_set_error (archive, errno, "%s", strerror (errno));
  return n;
}

/* The next bytes of the tar archive. */
static la_ssize_t on_read_plain (struct archive *archive, void *data, const void **ret_buffer)
{
  struct input *input = data;
  la_int64_t offset;
  size_t len = 0;

  for (;;) {
    int ret = libarchive.archive_read_data_block (input->decompress, ret_buffer, &len, &offset);

    if (ret == ARCHIVE_EOF)
      return 0;
    if (ret == ARCHIVE_RETRY)
      continue;
    if (ret != ARCHIVE_OK) {
      libarchive.archive_set_error (archive, libarchive.archive_errno (input->decompress), "%s",
                                    libarchive.archive_error_string (input->decompress));
      return -1;
    }
    if (!len)
      continue;
    if (len > *input->layer->budget) {
      err_code (&input->err, EFBIG,
                "refused: unpacked it is larger than is allowed; \"max_unpacked\" allows more");
      libarchive.archive_set_error (archive, EFBIG, "it is larger than is allowed");
      return -1;
    }
    *input->layer->budget -= len;
    checksummer_add (input->plain, *ret_buffer, len);
    return (la_ssize_t) len;
  }
}

static int archive_err (struct input *input, struct archive *archive, struct err *err)
{
  struct unpacking unpacking = {.archive = archive, .err = &input->err};

  return unpack_err (&unpacking, err);
}

static int open_blob (struct input *input, struct err *err)
{
  struct archive_entry *entry;

  input->decompress = libarchive.archive_read_new ();
  if (!input->decompress)
    err_out_of_memory ();
  libarchive.archive_read_support_filter_gzip (input->decompress);
  libarchive.archive_read_support_filter_zstd (input->decompress);
  libarchive.archive_read_support_format_raw (input->decompress);
  libarchive.archive_read_support_format_empty (input->decompress);
  libarchive.archive_read_set_read_callback (input->decompress, on_read_blob);
  libarchive.archive_read_set_callback_data (input->decompress, input);
  if (libarchive.archive_read_open1 (input->decompress) != ARCHIVE_OK)
    return archive_err (input, input->decompress, err);
  int ret = libarchive.archive_read_next_header (input->decompress, &entry);
  if (ret != ARCHIVE_OK && ret != ARCHIVE_EOF)
    return archive_err (input, input->decompress, err);
  return 0;
}

/* What is behind the end of the archive belongs to the layer as well. */
static int drain_plain (struct input *input, struct archive *archive, struct err *err)
{
  const void *data;
  la_ssize_t n;

  while ((n = on_read_plain (archive, input, &data)) > 0)
    if (interrupt_check (err) < 0)
      return -err->code;
  return n < 0 ? archive_err (input, archive, err) : 0;
}

static int unpack (struct input *input, struct writer *writer, struct err *err)
{
  autoarchive struct archive *archive = libarchive.archive_read_new ();
  autooverlaying struct overlaying overlaying = {.writer = writer};
  const struct unpack_input from = {.max_unpacked = UINT64_MAX}; /* the layer has its budget */
  struct unpacking unpacking = {.from = &from, .err = &input->err, .archive = archive};

  if (!archive)
    err_out_of_memory ();
  if (open_blob (input, err) < 0)
    return -err->code;
  libarchive.archive_read_support_format_tar (archive);
  libarchive.archive_read_support_format_empty (archive);
  libarchive.archive_read_set_read_callback (archive, on_read_plain);
  libarchive.archive_read_set_callback_data (archive, input);
  if (libarchive.archive_read_open1 (archive) != ARCHIVE_OK)
    return archive_err (input, archive, err);
  if (overlaying_run (&overlaying, &unpacking, err) < 0)
    return -err->code;
  return drain_plain (input, archive, err);
}

static int drain_blob (struct input *input, struct err *err)
{
  ssize_t n;

  while ((n = read_blob (input)) > 0)
    if (input->size > input->layer->descriptor->size)
      return 0;
  return n < 0 ? err_errno (err, "read it") : 0;
}

static int check_blob (struct input *input, struct err *err)
{
  const struct image_descriptor *descriptor = input->layer->descriptor;
  struct checksum found;

  if (drain_blob (input, err) < 0)
    return -err->code;
  if (input->size != descriptor->size)
    return err_code (err, EBADMSG, "it has %s%" PRIu64 " bytes, expected are %" PRIu64,
                     input->size > descriptor->size ? "at least " : "", input->size,
                     descriptor->size);
  checksummer_end (input->blob, &found, NULL);
  if (!checksum_equal (&found, &descriptor->digest))
    return image_digest_mismatch ("its digest", &found, &descriptor->digest, err);
  return 0;
}

int image_layer_apply (struct writer *writer, const struct image_layer *layer, struct err *err)
{
  autoinput struct input input = {
      .layer = layer, .buffer = xmalloc (READ_SIZE), .start_us = clock_us ()};
  autoerr struct err unpack_err = {0};
  struct checksum found;

  if (libarchive_load (err) < 0 ||
      checksummer_new (layer->descriptor->digest.kind, CHECKSUM_NONE, &input.blob, err) < 0 ||
      checksummer_new (layer->diff_id->kind, CHECKSUM_NONE, &input.plain, err) < 0)
    return -err->code;
  int ret = unpack (&input, writer, &unpack_err);
  /* What cannot be read because it is not what it was is best told so. */
  if (ret == -ERR_INTERRUPTED || (ret == 0 || ret == -EBADMSG ? check_blob (&input, err) : 0) < 0)
    return err->code ? -err->code : err_code (err, ERR_INTERRUPTED, "%s", err_text (&unpack_err));
  if (ret < 0)
    return err_code (err, unpack_err.code, "%s", err_text (&unpack_err));
  checksummer_end (input.plain, &found, NULL);
  if (!checksum_equal (&found, layer->diff_id))
    return image_digest_mismatch ("the digest of its contents (diff_id)", &found, layer->diff_id,
                                  err);
  return 0;
}
