/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* POSIX ACLs: from libarchive's entries to the value of the kernel's attributes. */
#ifndef VG_TEMPLATE_ACL_H
#define VG_TEMPLATE_ACL_H

#include "template/entry.h"
#include <archive_entry.h>

/* Adds, once libarchive is loaded, system.posix_acl_access and system.posix_acl_default to @entry
 * where the archive's entry has them. An access ACL that says no more than the mode is left out.
 * Errors: EINVAL for an ACL that names a user or group without its number; EOPNOTSUPP for NFSv4
 * ACLs. */
int acl_from_archive (struct archive_entry *from, struct entry *entry, struct err *err);

#endif
