/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries: files that have metadata of their own, and the contents of another inode.
 *
 * An entry is an empty sparse file with the size, mode, owner, times and attributes that a guest
 * sees. Two more attributes are for overlayfs, which takes the contents from where they say
 * (metacopy files of a lower layer, data-only layers: Linux 6.5):
 *
 *   trusted.overlay.metacopy   the mark, 00 04 00 00: valid, and never written by the kernel, which
 *                              writes an empty value. So a metacopy file of an upper layer, which a
 *                              guest makes by chmod, is never taken for an entry
 *   trusted.overlay.redirect   "/ab/" and 14 digits: the place, below store/data, of a hard link to
 *                              the inode that has the contents
 *
 * Who reads an entry on the host reads zeros. So whoever wants the contents of a file that lies in
 * a tree or in the store follows it: metaentry_follow, or metaentry_contents where the metadata are
 * wanted as well. Both fail when the contents are not there; nobody gets zeros. */
#ifndef VG_UTIL_METAENTRY_H
#define VG_UTIL_METAENTRY_H

#include "xattr.h"
#include <sys/stat.h>

#define METAENTRY_DATA "data" /* in store/ */

/* "/ab/", 14 digits, NUL: short enough for both attributes to lie in an inode of 256 bytes. */
#define METAENTRY_PLACE_SIZE 19

/* May a file of that stat be an entry? Asked for each file before its attributes are read: where
 * store/data is missing, which is looked for once, none may but those with holes: others make
 * entries while we run, and store/data may be lost. */
bool metaentry_may_be (const struct stat *st);

/* Is the file open at @fd, or with -1 @name of @dir_fd, whose stat is @st, an entry? Returns 1, 0,
 * or -1 with errno: EUCLEAN when it is marked as one and its place is none. @ret_place may be NULL.
 */
int metaentry_read (int fd, int dir_fd, const char *name, const struct stat *st, char *ret_place);

/* The same by attributes that were read with those of the overlay; no errors. */
bool metaentry_is_marked (const struct xattrs *xattrs);

/* Is it one of the two attributes? */
bool metaentry_has_attribute (const char *name);

/* When the file open at @fd, whose stat is @st, is an entry, opens its contents for reading:
 * returns 1, and the caller's descriptor in @ret_fd. 0 for other files, -1 with errno: EUCLEAN when
 * the contents are not there, or have another size. */
int metaentry_contents (int fd, const struct stat *st, int *ret_fd);

/* The same, with the descriptor of the contents in place of the other one, which is closed. 0, or
 * -1 with errno. */
int metaentry_follow (int *fd, const struct stat *st);

/* Makes the empty file open at @fd an entry whose contents are at @place. It must have fewer blocks
 * than its size takes: see metaentry_may_be. 0, or -1 with errno. */
int metaentry_mark (int fd, const char *place);

/* Where places are: the directory store/ is open at @store_fd, borrowed until
 * metaentry_forget_store. For the store room; a process has one store open at a time. */
void metaentry_use_store (int store_fd);
void metaentry_forget_store (int store_fd);

#endif
