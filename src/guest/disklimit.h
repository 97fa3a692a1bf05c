/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Soft limits: "disk.soft_limit" of a guest, for its own bytes as usage.h counts them. Nothing
 * stops at one; people are told. */
#ifndef VG_GUEST_DISKLIMIT_H
#define VG_GUEST_DISKLIMIT_H

#include "guest/usage.h"

/* The limit of @guest, or -1. One that cannot be read is none here: what sets it, checks it. */
int64_t disk_soft_limit (struct guest *guest);

/* Tells @over of each guest of @names that has more than its limit. Nothing is scanned where none
 * has one; guests that are not there are passed over. No locks are taken. */
int disk_limits_look (struct vroot *root, const struct names *names,
                      void (*over) (void *data, const char *name, uint64_t own_bytes,
                                    uint64_t limit),
                      void *data, struct err *err);

#endif
