/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libarchive, loaded when an archive is read: see util/library.h. */
#ifndef VG_TEMPLATE_LIBARCHIVE_H
#define VG_TEMPLATE_LIBARCHIVE_H

#include "util/library.h"
#include <archive.h>
#include <archive_entry.h>

#define LIBARCHIVE_FUNCTIONS(FUNCTION)                                                             \
  FUNCTION (archive_entry_acl_next)                                                                \
  FUNCTION (archive_entry_acl_reset)                                                               \
  FUNCTION (archive_entry_acl_types)                                                               \
  FUNCTION (archive_entry_filetype)                                                                \
  FUNCTION (archive_entry_gid)                                                                     \
  FUNCTION (archive_entry_hardlink)                                                                \
  FUNCTION (archive_entry_hardlink_utf8)                                                           \
  FUNCTION (archive_entry_mode)                                                                    \
  FUNCTION (archive_entry_mtime)                                                                   \
  FUNCTION (archive_entry_mtime_is_set)                                                            \
  FUNCTION (archive_entry_mtime_nsec)                                                              \
  FUNCTION (archive_entry_pathname)                                                                \
  FUNCTION (archive_entry_pathname_utf8)                                                           \
  FUNCTION (archive_entry_rdev)                                                                    \
  FUNCTION (archive_entry_size)                                                                    \
  FUNCTION (archive_entry_size_is_set)                                                             \
  FUNCTION (archive_entry_symlink)                                                                 \
  FUNCTION (archive_entry_symlink_utf8)                                                            \
  FUNCTION (archive_entry_uid)                                                                     \
  FUNCTION (archive_entry_xattr_next)                                                              \
  FUNCTION (archive_entry_xattr_reset)                                                             \
  FUNCTION (archive_errno)                                                                         \
  FUNCTION (archive_error_string)                                                                  \
  FUNCTION (archive_filter_bytes)                                                                  \
  FUNCTION (archive_read_data)                                                                     \
  FUNCTION (archive_read_data_block)                                                               \
  FUNCTION (archive_read_free)                                                                     \
  FUNCTION (archive_read_new)                                                                      \
  FUNCTION (archive_read_next_header)                                                              \
  FUNCTION (archive_read_open1)                                                                    \
  FUNCTION (archive_read_open_fd)                                                                  \
  FUNCTION (archive_read_open_memory)                                                              \
  FUNCTION (archive_read_set_callback_data)                                                        \
  FUNCTION (archive_read_set_read_callback)                                                        \
  FUNCTION (archive_read_set_seek_callback)                                                        \
  FUNCTION (archive_read_support_filter_bzip2)                                                     \
  FUNCTION (archive_read_support_filter_compress)                                                  \
  FUNCTION (archive_read_support_filter_gzip)                                                      \
  FUNCTION (archive_read_support_filter_lz4)                                                       \
  FUNCTION (archive_read_support_filter_lzip)                                                      \
  FUNCTION (archive_read_support_filter_lzma)                                                      \
  FUNCTION (archive_read_support_filter_xz)                                                        \
  FUNCTION (archive_read_support_filter_zstd)                                                      \
  FUNCTION (archive_read_support_format_7zip)                                                      \
  FUNCTION (archive_read_support_format_cpio)                                                      \
  FUNCTION (archive_read_support_format_empty)                                                     \
  FUNCTION (archive_read_support_format_iso9660)                                                   \
  FUNCTION (archive_read_support_format_raw)                                                       \
  FUNCTION (archive_read_support_format_tar)                                                       \
  FUNCTION (archive_read_support_format_xar)                                                       \
  FUNCTION (archive_read_support_format_zip)                                                       \
  FUNCTION (archive_set_error)

struct libarchive {
  LIBARCHIVE_FUNCTIONS (LIBRARY_MEMBER)
};
extern struct libarchive libarchive;

int libarchive_load (struct err *err);

#endif
