/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All extended attributes of one inode, as a sorted list: capabilities, ACLs, labels, user.*.
 *
 * trusted.overlay.* describes layers, not files: it is read only when asked for. The escaped form
 * trusted.overlay.overlay.* is a guest's own nested overlay and counts as an ordinary attribute
 * (Documentation/filesystems/overlayfs.rst, "Nesting overlayfs mounts"). */
#ifndef VG_UTIL_XATTR_H
#define VG_UTIL_XATTR_H

#include "cleanup.h"
#include <stdbool.h>
#include <stdint.h>

#define XATTR_OVERLAY "trusted.overlay."
#define XATTR_OVERLAY_NESTED "trusted.overlay.overlay."

struct xattr {
  char *name;
  void *value;
  size_t len;
};

struct xattrs {
  struct xattr *items; /* owned; sorted by name in byte order */
  size_t count;
};

#define autoxattrs __attribute__ ((cleanup (xattrs_release)))

void xattrs_release (struct xattrs *xattrs);

/* Reads the attributes of the open file @fd, or of @name below @dir_fd when @fd is -1 (symlinks
 * and specials, which cannot be opened). With @with_overlay also the layer's own. A file system
 * without attributes gives an empty list. */
int xattrs_read (int fd, int dir_fd, const char *name, bool with_overlay, struct xattrs *ret_xattrs,
                 struct err *err);

/* The attribute @name, or NULL. Borrowed. */
const struct xattr *xattrs_find (const struct xattrs *xattrs, const char *name);

/* Makes the attributes of the file be @xattrs: sets what differs, removes what is not there, and
 * leaves the layer's own alone. @fd or (@dir_fd, @name) as above. */
int xattrs_apply (int fd, int dir_fd, const char *name, const struct xattrs *xattrs,
                  struct err *err);

bool xattrs_equal (const struct xattrs *a, const struct xattrs *b);

/* Is @name one of overlayfs's own attributes (and not an escaped one of a nested overlay)? */
bool xattr_is_overlay (const char *name);

#endif
