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

/* Reads the archive from @fd, to its end when it is a pipe. */
int unpack_archive (struct writer *writer, int fd, struct err *err);

#endif
