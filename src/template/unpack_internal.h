/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What readers of archives share: unpack.c, and others that look at each entry themselves. */
#ifndef VG_TEMPLATE_UNPACK_INTERNAL_H
#define VG_TEMPLATE_UNPACK_INTERNAL_H

#include "template/unpack.h"
#include "template/libarchive.h"

static inline void cleanup_archive (struct archive **archive)
{
  if (*archive)
    libarchive.archive_read_free (*archive);
}
#define autoarchive __attribute__ ((cleanup (cleanup_archive)))

/* An archive that is being read. Of a reader with bounds of its own only archive, err and from,
 * with a max_unpacked of UINT64_MAX, are set. */
struct unpacking {
  const struct unpack_input *from; /* borrowed */
  struct err *err; /* borrowed; of who gives the bytes: goes over what libarchive says of it */
  struct archive *archive; /* borrowed */
  uint64_t start_us;
  uint64_t done;
  uint64_t total;   /* 0: not known */
  uint64_t written; /* into files */
  char *buffer;     /* borrowed; NULL with from->read */
};

/* Why the archive cannot be read, or ERR_INTERRUPTED after a signal. */
int unpack_err (struct unpacking *unpacking, struct err *err);

/* The next entry and its name, both borrowed until the next call: 1; 0 at the end. Warnings that
 * tell of something that would be lost are errors. */
int unpack_next (struct unpacking *unpacking, struct archive_entry **ret_entry,
                 const char **ret_path, struct err *err);

/* Makes the entry, whose name is @path, with its data. */
int unpack_entry (struct writer *writer, struct unpacking *unpacking, struct archive_entry *from,
                  const char *path, struct err *err);

/* What the entry is a hard link to, or NULL; borrowed. */
const char *unpack_hardlink (struct archive_entry *from);

#endif
