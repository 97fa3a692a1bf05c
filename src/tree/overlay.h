/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounting overlays with every option stated, as kernel configuration changes the defaults:
 * index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto, and volatile for transactions
 * (Documentation/filesystems/overlayfs.rst). index=on is ruinous on unified lowers. */
#ifndef VG_TREE_OVERLAY_H
#define VG_TREE_OVERLAY_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

struct overlay {
  const int *lower_fds; /* topmost first */
  size_t lower_count;
  int data_fd; /* store/data, where has_data: a data-only layer below all */
  bool has_data;
  int upper_fd;
  int work_fd;        /* empty; a volatile one serves one mount only */
  bool volatile_mode; /* no fsync reaches the disk: syncfs at commit */
  bool nodev;
};

/* Leaves the mount namespace for a private one, with @dir_fd as working directory there. A mount
 * takes only layers of its own namespace, and descriptors keep the one they were opened in: open
 * the layers anew after this call, starting from AT_FDCWD. Only in a child process. */
int overlay_enter_namespace (int dir_fd, struct err *err);

/* Mounts on @target and checks that it can be written. The layers are passed as /proc/self/fd
 * paths, so no name in them needs escaping. EOPNOTSUPP when the kernel lacks overlayfs or an
 * option. */
int overlay_mount (const struct overlay *overlay, const char *target, struct err *err);

/* Opens store/data of the state root that the guest @guest_fd, which may be AT_FDCWD, lies in, for
 * overlay->data_fd. Sets has_data to whether there is one: then trees may have entries
 * (util/metaentry.h), which cannot be read without. The descriptor is the caller's, or -1. */
int overlay_open_data (int guest_fd, struct overlay *overlay, struct err *err);

/* Can this kernel, and the file system of @dir_fd, show entries? Tries it with one. EOPNOTSUPP. */
int overlay_probe_data (int dir_fd, struct err *err);

/* Tries a mount on two empty directories below @dir_fd in a child with a mount namespace of its
 * own. 0 when all options work there. */
int overlay_probe (int dir_fd, struct err *err);

/* Does any mount seen in /proc/self/mountinfo lie below @path, or is it an overlay with a layer
 * below it? Returns 1, 0 or negative; @ret_where, the caller's, names the mount point. */
int overlay_in_use (const char *path, char **ret_where, struct err *err);

#endif
