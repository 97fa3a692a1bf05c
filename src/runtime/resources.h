/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's settings in the words of the OCI runtime specification.
 *
 * | setting          | member of config.json                                          |
 * |------------------|----------------------------------------------------------------|
 * | capabilities     | process.capabilities: the default set, minus drop, plus add    |
 * | rlimits          | process.rlimits                                                |
 * | memory, swap     | linux.resources.memory                                         |
 * | cpus, cpu_weight | linux.resources.cpu: quota, period, shares                     |
 * | io_weight        | linux.resources.blockIO.weight                                 |
 * | pids             | linux.resources.pids                                           |
 * | mounts           | mounts                                                         |
 * | devices          | linux.devices, linux.resources.devices                         |
 * | sysctls          | linux.sysctl                                                   |
 *
 * Weights are 1 … 10000 with 100 as the default, as in cgroup v2. Of a v1 host cpu.shares (2 …
 * 262144, default 1024) gets the same proportion, and blkio.weight (10 … 1000, BFQ's default 100)
 * the value between its ends. A limit that this host cannot enforce is refused: who set one relies
 * on it. */
#ifndef VG_RUNTIME_RESOURCES_H
#define VG_RUNTIME_RESOURCES_H

#include "guest/settings.h"
#include "runtime/targets.h"

/* Changes the bundle's @config as @settings say. EOPNOTSUPP when the host has no cgroup controller
 * for a limit, ENOENT when the source of a mount or a device is missing; the key is named. Called
 * where the container's cgroups may be made (util/cgroup.h). */
int resources_apply (const struct settings *settings, json_object *config, struct err *err);

/* Makes the targets of the mounts in the guest's merged root @root_fd, which targets_undo removes
 * later. Those on file systems that each start makes anew are left to the runtime. */
int resources_prepare (const struct settings *settings, int root_fd, struct targets *targets,
                       struct err *err);

#endif
