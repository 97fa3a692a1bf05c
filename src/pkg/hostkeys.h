/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host keys of sshd, which a clone does not take from its source: some distributions make them when
 * the system starts, Debian and its like only when the package is installed. */
#ifndef VG_PKG_HOSTKEYS_H
#define VG_PKG_HOSTKEYS_H

#include "guest/guest.h"

/* Before a start: where @guest, which is open GUEST_LOCKED and stopped, has an sshd and ssh-keygen
 * and no host key at all, makes keys of all kinds by the guest's own `ssh-keygen -A`, as a
 * transaction that is not in its history: what it was before can be rolled back to as ever. Costs a
 * few look-ups where there is nothing to do. */
int hostkeys_ensure (struct vroot *root, struct guest *guest, struct err *err);

#endif
