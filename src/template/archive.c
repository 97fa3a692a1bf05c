/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "archive.h"
#include "template/net.h"
#include "template/unpack.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

enum { READ_SIZE = 256 << 10 };

static const char spool_name[] = "archive";

void archive_parse (struct check *check, json_object *source, bool devices,
                    struct archive_source *archive)
{
  trust_parse (check, source, &archive->trust);
  archive->max_size = check_size (check, source, "max_size", UINT64_MAX);
  archive->max_unpacked = check_size (check, source, "max_unpacked", 0);
  archive->devices = check_bool (check, source, "devices", devices);
}

void archive_release (struct archive_source *archive)
{
  trust_release (&archive->trust);
}

/* The bytes of an archive on their way. */
struct flow {
  const struct archive_source *archive;
  struct import *import;
  struct trust_run *run; /* owned; NULL: nothing has to be computed */
  /* From here; one of both. */
  struct fetch_stream *stream; /* owned */
  int fd;                      /* borrowed */
  char *buffer;                /* owned; for fd */

  uint64_t start_us;
  uint64_t done;
  uint64_t total; /* 0: not known */
  bool ended;
  bool failed; /* the source did: that is the error to tell */
  /* The first bytes, which were read to see what they are. */
  const void *first;
  size_t first_len;
};

static void flow_release (struct flow *flow)
{
  fetch_stream_close (flow->stream);
  if (flow->run)
    trust_run_free (flow->run);
  cleanup_free (&flow->buffer);
}
#define autoflow __attribute__ ((cleanup (flow_release)))

static int read_source (struct flow *flow, const void **ret_data, size_t *ret_len, struct err *err)
{
  if (flow->stream)
    return fetch_stream_read (flow->stream, ret_data, ret_len, err);
  for (;;) {
    ssize_t n = read (flow->fd, flow->buffer, READ_SIZE);

    if (n < 0 && errno == EINTR && interrupt_check (err) == 0)
      continue;
    if (n < 0)
      return err->code ? -err->code : err_errno (err, "read the archive");
    *ret_data = flow->buffer;
    *ret_len = (size_t) n;
    return n > 0;
  }
}

/* The next bytes, counted and computed on. */
static int flow_next (struct flow *flow, const void **ret_data, size_t *ret_len, struct err *err)
{
  int ret = flow->ended ? 0 : read_source (flow, ret_data, ret_len, err);

  if (ret == 0)
    flow->ended = true;
  if (ret > 0) {
    flow->done += *ret_len;
    if (flow->stream) {
      uint64_t total = fetch_stream_total (flow->stream);

      flow->total = total == FETCH_SIZE_UNKNOWN ? 0 : total;
    }
    if (flow->done > flow->archive->max_size)
      ret = err_code (err, EFBIG, "refused: it has more than %" PRIu64 " bytes",
                      flow->archive->max_size);
    else if (flow->run && trust_add (flow->run, *ret_data, *ret_len, err) < 0)
      ret = -err->code;
    net_show (flow->stream ? "fetching" : "reading", flow->done, flow->total, flow->start_us);
  }
  flow->failed |= ret < 0;
  return ret;
}

/* For unpack_input. */
static int give (void *data, const void **ret_data, size_t *ret_len, struct err *err)
{
  struct flow *flow = data;

  if (!flow->first_len)
    return flow_next (flow, ret_data, ret_len, err);
  *ret_data = flow->first;
  *ret_len = flow->first_len;
  flow->first_len = 0;
  return 1;
}

/* What is behind the end of the archive belongs to the file as well. */
static int drain (struct flow *flow, struct err *err)
{
  const void *data;
  size_t len;
  int ret;

  while ((ret = flow_next (flow, &data, &len, err)) > 0)
    ;
  return ret;
}

static int finish_trust (struct flow *flow, int file_fd, struct err *err)
{
  char hex[CHECKSUM_TEXT_SIZE];
  struct checksum sha256;

  progress_clear ();
  if (!flow->run)
    return 0;
  if (trust_end (flow->run, file_fd, &sha256, err) < 0)
    return -err->code;
  checksum_hex (&sha256, hex);
  import_note_version (flow->import, "sha256", hex);
  return 0;
}

static int unpack_flow (struct flow *flow, struct err *err)
{
  struct unpack_input input = {
      .read = give, .data = flow, .fd = -1, .max_unpacked = flow->archive->max_unpacked};
  autoerr struct err other = {0};

  if (unpack_input (&flow->import->writer, &input, err) == 0)
    return drain (flow, err) < 0 ? -err->code : finish_trust (flow, -1, err);
  /* That it is damaged, or does what it must not, matters less than that it is another file. */
  if (flow->failed || !flow->run || err->code == ERR_INTERRUPTED || err->code == EFBIG)
    return -err->code;
  if ((drain (flow, &other) < 0 || finish_trust (flow, -1, &other) < 0) && other.code == EBADMSG)
    return err_code (err, other.code, "%s", err_text (&other));
  return -err->code;
}

static int write_spool (struct flow *flow, int fd, struct err *err)
{
  const void *data;
  size_t len;
  int ret;

  while ((ret = give (flow, &data, &len, err)) > 0)
    if (fd_write_all (fd, data, len) < 0)
      return err_errno (err, "write the archive to staging");
  return ret;
}

/* A whole file that is believed. */
static int fill_from (struct flow *flow, int fd, bool squashfs, struct err *err)
{
  struct unpack_input input = {.fd = fd, .max_unpacked = flow->archive->max_unpacked};

  if (lseek (fd, 0, SEEK_SET) < 0)
    return err_errno (err, "read the archive again");
  if (squashfs)
    return squashfs_fill (flow->import, fd, err);
  return unpack_input (&flow->import->writer, &input, err);
}

static int spool_flow (struct flow *flow, bool squashfs, struct err *err)
{
  int temp_fd = flow->import->temp_fd;
  autoclose int fd = fd_open (temp_fd, spool_name, O_RDWR | O_CREAT | O_EXCL, 0600);

  if (fd < 0)
    return err_errno (err, "create a file in staging");
  if (write_spool (flow, fd, err) < 0 || finish_trust (flow, fd, err) < 0)
    return -err->code;
  if (unlinkat (temp_fd, spool_name, 0) < 0)
    return err_errno (err, "remove the archive in staging");
  return fill_from (flow, fd, squashfs, err);
}

static int run_flow (struct flow *flow, struct err *err)
{
  struct stat st;

  flow->import->writer.harmless = !flow->archive->devices;
  int ret = flow_next (flow, &flow->first, &flow->first_len, err);

  if (ret < 0)
    return ret;
  bool squashfs = squashfs_is (flow->first, flow->first_len);
  if (!squashfs && !unpack_needs_seek (flow->first, flow->first_len) &&
      !(flow->run && trust_needs_file (flow->run)))
    return unpack_flow (flow, err);
  /* A file that nothing is computed of can be used where it is. */
  if (!flow->run && fstat (flow->fd, &st) == 0 && S_ISREG (st.st_mode))
    return fill_from (flow, flow->fd, squashfs, err);
  return spool_flow (flow, squashfs, err);
}

int archive_from_file (const struct archive_source *archive, const char *path, int fd,
                       struct import *import, struct err *err)
{
  const struct trust *trust = &archive->trust;
  autofetch struct fetch *fetch = NULL;
  autoflow struct flow flow = {
      .archive = archive, .import = import, .fd = fd, .start_us = clock_us ()};
  struct stat st;

  if (fstat (fd, &st) < 0)
    return err_errno (err, "stat it");
  if (S_ISREG (st.st_mode))
    flow.total = (uint64_t) st.st_size;
  if (flow.total > archive->max_size)
    return err_code (err, EFBIG,
                     "refused: it has %" PRIu64 " bytes, and at most %" PRIu64 " are allowed",
                     flow.total, archive->max_size);
  flow.buffer = xmalloc (READ_SIZE);
  if (trust->digest_count || trust->sums || trust->type != TRUST_NONE) {
    if (net_open (&fetch, err) < 0 || trust_begin (trust, fetch, path, import, &flow.run, err) < 0)
      return -err->code;
  }
  return run_flow (&flow, err);
}

static void note_answer (struct import *import, const struct fetch_result *result)
{
  import_note_version (import, "etag", fetch_header (result, "ETag"));
  import_note_version (import, "last_modified", fetch_header (result, "Last-Modified"));
}

int archive_from_url (const struct archive_source *archive, struct fetch *fetch, const char *url,
                      struct import *import, struct err *err)
{
  const char *urls[] = {url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;
  autoflow struct flow flow = {
      .archive = archive, .import = import, .fd = -1, .start_us = clock_us ()};

  if (trust_begin (&archive->trust, fetch, url, import, &flow.run, err) < 0)
    return -err->code;
  request.urls = urls;
  request.size_max = archive->max_size;
  request.checksums = trust_expected (flow.run, &request.checksum_count);
  if (fetch_stream_open (fetch, &request, &flow.stream, err) < 0)
    return -err->code;
  int ret = run_flow (&flow, err);
  if (ret == 0)
    note_answer (import, &request.result);
  fetch_stream_close (flow.stream);
  flow.stream = NULL;
  fetch_result_release (&request.result);
  return ret;
}
