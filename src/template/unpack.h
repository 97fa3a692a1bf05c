/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives, read by libarchive, into a tree.
 *
 * Formats that hold Unix trees: tar in its dialects, cpio, zip, 7-zip, ISO 9660 and xar, each plain
 * or compressed. mtree is not among them: it would read files of the host. Names are kept byte for
 * byte, which needs the "C" locale. Inode flags (chattr) are not kept: an immutable inode could not
 * be shared. */
#ifndef VG_TEMPLATE_UNPACK_H
#define VG_TEMPLATE_UNPACK_H

#include "template/writer.h"

/* Where an archive comes from. */
struct unpack_input {
  /* The next bytes: 1 with *@ret_data and *@ret_len, valid until the next call; 0 at the end;
   * negative. NULL: they are read from fd. */
  int (*read) (void *data, const void **ret_data, size_t *ret_len, struct err *err);
  void *data;
  int fd; /* without read; formats that jump about can be read when it is a regular file */

  /* What comes out may have so many bytes; 0: as many as UNPACK_RATIO times what goes in, but at
   * least UNPACK_FREE. Holes do not count. EFBIG. */
  uint64_t max_unpacked;
};
enum { UNPACK_RATIO = 200 };
#define UNPACK_FREE (UINT64_C (1) << 30)

int unpack_input (struct writer *writer, const struct unpack_input *input, struct err *err);

/* Reads the archive from @fd, to its end when it is a pipe. */
int unpack_archive (struct writer *writer, int fd, struct err *err);

/* Is this the start of a format that can be read only with jumps (zip, 7-zip)? */
bool unpack_needs_seek (const void *start, size_t len);

#endif
