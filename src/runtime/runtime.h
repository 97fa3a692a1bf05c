/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which OCI runtime runs the containers of this host.
 *
 * The guest's config.json ("runtime"), else vguest.conf ("runtime"), else "auto": "auto", "crun",
 * "runc", or the absolute path of another program with runc's command line. "auto" takes the first
 * of crun and runc that passes the probe: a real container over the host's own / (read-only)
 * running true. The outcome is kept in RUN/.runtime.json under the program's path, size and mtime,
 * so it costs nothing the next time; when nothing passes, all are tried again. */
#ifndef VG_RUNTIME_RUNTIME_H
#define VG_RUNTIME_RUNTIME_H

#include "guest/guest.h"

/* The path of the runtime for @guest: the caller's string. EOPNOTSUPP, with what was tried and why
 * each failed, when there is none. */
int runtime_choose (struct vroot *root, struct guest *guest, char **ret_path, struct err *err);

/* The init program of the host that is process 1 in containers (catatonit), or NULL when there is
 * none and the command itself is process 1. The caller's string. */
char *runtime_find_init (void);

/* The directory that container.mount_on needs: RUN/.bundle. The caller's string; NULL with @err. */
char *runtime_mount_point (struct vroot *root, struct err *err);

#endif
