/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a block device was told: recorder writes it, replay reads it. A header for each record, then
 * its data; in the byte order of this machine. */
#ifndef VG_TESTS_WRITE_LOG_H
#define VG_TESTS_WRITE_LOG_H

#include <stdint.h>

enum { LOG_WRITE = 1, LOG_FLUSH = 2 };

struct log_header {
  uint32_t type;
  uint32_t length; /* of the data; 0 for a flush */
  uint64_t offset; /* in the device */
};

#endif
