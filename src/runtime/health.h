/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has a guest that was started come up? */
#ifndef VG_RUNTIME_HEALTH_H
#define VG_RUNTIME_HEALTH_H

#include "runtime/live.h"

/* How long a guest without a health command must have been alive. */
enum { HEALTH_ALIVE_SECONDS = 5 };

/* Waits until the health command of @settings succeeds in the running @guest; it is tried again for
 * health_timeout seconds. Without one, the guest must be running on its first init after
 * HEALTH_ALIVE_SECONDS (or health_timeout, when that is less). ETIMEDOUT or ESRCH, with what the
 * command last said, when the guest did not come up; ERR_INTERRUPTED after a signal. */
int health_wait (struct vroot *root, struct guest *guest, const struct settings *settings,
                 struct err *err);

#endif
