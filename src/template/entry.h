/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an import knows of one file before it is made. */
#ifndef VG_TEMPLATE_ENTRY_H
#define VG_TEMPLATE_ENTRY_H

#include "util/xattr.h"
#include <sys/stat.h>

struct entry {
  mode_t mode; /* type and permission bits */
  uid_t uid;
  gid_t gid;
  dev_t rdev;
  struct timespec mtime; /* tv_nsec UTIME_OMIT: not known */
  struct xattrs xattrs;  /* owned; ACLs are among them */
};
#define autoentry __attribute__ ((cleanup (entry_release)))

void entry_release (struct entry *entry);

/* Sets an attribute, replacing one of that name. Attributes of overlayfs that change what a lower
 * layer shows (opaque, redirect, metacopy, whiteout and any unknown one) are EINVAL; those that
 * only describe where a file came from are left out. */
int entry_set_xattr (struct entry *entry, const char *name, const void *value, size_t len,
                     struct err *err);

/* What is known of the file open at @fd, or with -1 of @name in @dir_fd; @st is its stat. EINVAL
 * for attributes as above. */
int entry_read (int fd, int dir_fd, const char *name, const struct stat *st,
                struct entry *ret_entry, struct err *err);

/* Refuses what a tree must not have: the device 0/0, which is a whiteout. */
int entry_check (const struct entry *entry, struct err *err);

/* Is it no device node, or one that every container has, such as /dev/null or a terminal? */
bool entry_is_harmless (const struct entry *entry);

/* Gives the directory open at @fd owner, mode, attributes and time of @entry. */
int entry_apply_directory (const struct entry *entry, int fd, struct err *err);

/* The same for the file just made as (@dir_fd, @name), open at @fd, or -1 for what cannot be
 * opened; nothing of it has been set but the permission bits below 01000. With @owned the file is
 * root's already. The order matters: chown clears set-id bits and capabilities, writing the time.
 */
int entry_apply_file (const struct entry *entry, int fd, int dir_fd, const char *name, bool owned,
                      struct err *err);

#endif
