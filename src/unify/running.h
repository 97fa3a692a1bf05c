/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be shared of the upper layer of a guest that runs.
 *
 * Hard links cannot be made below a mounted overlay, but extents can be shared there: the kernel
 * compares both files under their locks and changes nothing that the guest sees
 * (FIDEDUPERANGE, ioctl_fideduperange(2)). Needs a file system with reflinks (XFS, btrfs). The page
 * cache is not shared by this: fold makes links of the same files when the guest has stopped. */
#ifndef VG_UNIFY_RUNNING_H
#define VG_UNIFY_RUNNING_H

#include "unify/unify.h"

/* Looks at the regular files of the upper layer @upper_fd that the policy does not keep private and
 * that changed (ctime) at @since or later, and counts in waiting those that the fold will (eager
 * paths) or may (there is an object of that size) share. With @reflink it shares their blocks with
 * objects of the store: a file of an eager path that has no object yet becomes one, a reflink copy
 * made in @temp_fd, so that the next guest and the fold find it. What changes meanwhile is left
 * alone. Adds to waiting, waiting_bytes, reflinked, reflinked_bytes, published, bytes and failed of
 * @report. */
int unify_running (struct store *store, const struct policy *policy, int upper_fd, int temp_fd,
                   bool reflink, const struct timespec *since, struct unify_report *report,
                   struct err *err);

#endif
