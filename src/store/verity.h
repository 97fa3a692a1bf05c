/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fs-verity: the file system itself sees to it that the contents of an object are what they were
 * when it was published. A damaged block cannot be read then (EIO), and nobody can open the object
 * for writing; links, and all metadata, are as with other files.
 *
 * It is enabled before a file becomes an object. Enabling reads all of it, and cannot be undone for
 * the inode. Power loss in between leaves a file without it: the file system finishes or drops it
 * by itself. */
#ifndef VG_STORE_VERITY_H
#define VG_STORE_VERITY_H

#include "store/store.h"

/* "off", "auto", "require", or NULL for the default, off. ERR_USAGE for others. */
int verity_parse (const char *text, enum verity_mode *ret_mode, struct err *err);

/* Enables it on the file @name of @dir_fd, which is about to become an object, as store->verity
 * says; a file that is no regular one, or has it, is fine as it is. Can be called by several
 * threads. With "auto" a file that cannot have it goes without, and where the file system has none
 * no other file is tried. With "require" these are errors: EOPNOTSUPP when the file system has
 * none, ETXTBSY when somebody has it open for writing, EBUSY, EFBIG, ENOKEY. With both: EIO, ENOSPC
 * and others. */
int verity_enable (struct store *store, int dir_fd, const char *name, mode_t mode, struct err *err);

/* Has the file fs-verity, or is it an entry, which needs none? Returns 1, 0 or negative. */
int verity_has (int dir_fd, const char *name, struct err *err);

#endif
