/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cgroups below /vguest: of containers, and of the processes that look after them.
 *
 * A container's is /vguest/ID, made by the OCI runtime in every hierarchy that is mounted. A cgroup
 * that this program joins is made where membership is tracked only: in the version 2 hierarchy; or
 * else the version 1 hierarchy "name=systemd"; in all of version 1 when there is neither. Moving a
 * process costs 10 ms and more, as the kernel waits for RCU; being born there costs nothing.
 *
 * The kernel lets a cgroup be removed when no living process is in it, and a process leaves its
 * cgroup after its files, namespaces and mounts: so once a sweep is through, all of that is gone.
 *
 * Everybody who uses cgroups below /vguest holds a lock shared meanwhile; who finds himself alone
 * removes /vguest as well. */
#ifndef VG_UTIL_CGROUP_H
#define VG_UTIL_CGROUP_H

#include "cleanup.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Takes that lock shared. */
int cgroup_lock (int *ret_fd, struct err *err);

/* Removes the cgroup /vguest/@id with all below it in all hierarchies, waiting up to
 * @timeout_ms for processes to leave it; a missing one is no error. EBUSY when some stay. */
int cgroup_sweep (const char *id, int timeout_ms, struct err *err);

/* Removes /vguest when nobody else holds the lock, which is left exclusive then, to be closed
 * soon. */
int cgroup_sweep_parents (int lock_fd, struct err *err);

/* Moves the calling process into /vguest/@id, which is made. */
int cgroup_join (const char *id, struct err *err);

/* fork, with the flags @flags of clone(2) (CLONE_NEWPID), into /vguest/@id where the kernel can do
 * that; *@ret_joined is false where it cannot, and the child has to join. Returns the pid, 0 in the
 * child, or -1 with errno. */
pid_t cgroup_fork (const char *id, uint64_t flags, bool *ret_joined);

/* Moves it to the hierarchies' own top, so that what it joined can be removed. */
int cgroup_leave (struct err *err);

#endif
