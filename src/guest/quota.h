/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hard limits: "disk.hard_limit" of a guest, by a project quota of the file system (XFS, ext4).
 *
 * The guest's private layer, and that of a transaction with its work directory, belong to a project
 * of the guest's own, which what is made there inherits; tree/, whose files are shared, to none.
 * The project's number comes from the inode number of guests/NAME. */
#ifndef VG_GUEST_QUOTA_H
#define VG_GUEST_QUOTA_H

#include "guest/guest.h"

/* Can the file system of the root have such limits? EOPNOTSUPP, with what to do. */
int quota_probe (struct vroot *root, struct err *err);

/* Gives the guest's layers, and txn/upper and txn/work where they are, their project, and it the
 * limit that is set; takes the limit away again where it was and is set no more. Nothing is done,
 * nor asked, for guests that never had one. The guest is locked exclusively. */
int quota_apply (struct vroot *root, struct guest *guest, struct err *err);

#endif
