/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reflink.h"
#include "util/fd.h"
#include <linux/fs.h>
#include <sys/ioctl.h>

/* btrfs takes 16 MiB at a time; the kernel says how far it came. */
enum { DEDUPE_STEP = 16 << 20 };

int reflink_probe (int dir_fd, struct err *err)
{
  static const char data[4096] = "vguest";
  autoclose int from = openat (dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  autoclose int to = openat (dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

  if (from < 0 || to < 0)
    return errno == EOPNOTSUPP || errno == EISDIR ? 0 : err_errno (err, "make a temporary file");
  if (fd_write_all (from, data, sizeof data) < 0)
    return err_errno (err, "write a temporary file");
  if (ioctl (to, FICLONE, from) == 0)
    return 1;
  if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL || errno == EXDEV)
    return 0;
  return err_errno (err, "clone a temporary file");
}

int reflink_share (int from, int to, uint64_t size, uint64_t *ret_shared, struct err *err)
{
  autofree struct file_dedupe_range *range =
      xcalloc (1, sizeof *range + sizeof (struct file_dedupe_range_info));

  *ret_shared = 0;
  for (uint64_t at = 0; at < size;) {
    range->src_offset = at;
    range->src_length = size - at < DEDUPE_STEP ? size - at : DEDUPE_STEP;
    range->dest_count = 1;
    range->info[0] = (struct file_dedupe_range_info){.dest_fd = to, .dest_offset = at};
    if (ioctl (from, FIDEDUPERANGE, range) < 0)
      return err_errno (err, "share the blocks of a file");
    if (range->info[0].status < 0) {
      errno = -range->info[0].status;
      return err_errno (err, "share the blocks of a file");
    }
    /* It was written in the meantime. */
    if (range->info[0].status != FILE_DEDUPE_RANGE_SAME || !range->info[0].bytes_deduped)
      return 0;
    at += range->info[0].bytes_deduped;
    *ret_shared = at;
  }
  return 0;
}
