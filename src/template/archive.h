/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An archive as a source, from a file or from the network, in one pass: its bytes go through
 * digests and signature, decompression and unpacking into the staging tree as they come. It is
 * believed when all of it was there; the template is published only then.
 *
 * A few are written to a file in staging first: formats that must be read with jumps (zip, 7-zip,
 * squashfs), and those with a signature that can be verified of a complete file only. */
#ifndef VG_TEMPLATE_ARCHIVE_H
#define VG_TEMPLATE_ARCHIVE_H

#include "template/trust.h"

struct archive_source {
  struct trust trust;
  uint64_t max_size;     /* bytes of the archive; UINT64_MAX: any */
  uint64_t max_unpacked; /* see unpack.h; 0: by the size of the archive */
  bool devices;          /* keep device nodes that are none of the usual ones of containers */
};

/* For the list of a kind's keys. */
#define ARCHIVE_KEYS TRUST_KEYS, "max_size", "max_unpacked", "devices"

/* @devices is the default of "devices". */
void archive_parse (struct check *check, json_object *source, bool devices,
                    struct archive_source *archive);
void archive_release (struct archive_source *archive);

/* From the file open at @fd, whose absolute path is @path. */
int archive_from_file (const struct archive_source *archive, const char *path, int fd,
                       struct import *import, struct err *err);

/* From @url. Notes "etag", "last_modified" and "sha256" as the version. */
int archive_from_url (const struct archive_source *archive, struct fetch *fetch, const char *url,
                      struct import *import, struct err *err);

/* Unpacks the squashfs image open at @fd, by sqfs2tar, or by unsquashfs where that is missing.
 * ENOENT, with the packages, when there is neither. */
int squashfs_fill (struct import *import, int fd, struct err *err);

/* Does a squashfs image begin so? */
bool squashfs_is (const void *start, size_t len);

#endif
