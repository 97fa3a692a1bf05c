/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which package has a file, from dpkg's lists of files: var/lib/dpkg/info/PACKAGE.list. They are
 * the guest's, and are not believed further than a name in a message. */
#ifndef VG_FSCK_DPKG_LISTS_H
#define VG_FSCK_DPKG_LISTS_H

#include <stdbool.h>
#include <stddef.h>

/* The package that the name of a list is of, "coreutils" or "libc6:amd64", as the length of that in
 * @name; 0 for other names. */
size_t dpkg_list_package (const char *name);

/* Calls @visit for each path of the list, "usr/bin/ls": not terminated, @len bytes. */
void dpkg_list_each (const char *text, size_t len,
                     void (*visit) (void *data, const char *path, size_t len), void *data);

#endif
