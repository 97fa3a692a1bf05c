/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An OCI layout in an archive (oci-archive:FILE): tar, plain or compressed. Members may come in any
 * order, so it is unpacked to a layout before anything of it is used. */
#ifndef VG_TEMPLATE_IMAGE_ARCHIVE_H
#define VG_TEMPLATE_IMAGE_ARCHIVE_H

#include "util/cleanup.h"
#include <stddef.h>
#include <stdint.h>

/* Writes the files that belong to a layout into the empty directory @dir_fd, and leaves out what
 * else there is. EFBIG when they have more than @maximum bytes; EBADMSG. */
int image_archive_unpack (int fd, int dir_fd, uint64_t maximum, struct err *err);

/* Finds index.json alone: the caller's, NUL-terminated. ENOENT when there is none. */
int image_archive_index (int fd, char **ret_text, size_t *ret_len, struct err *err);

#endif
