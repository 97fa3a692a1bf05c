/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory of its own for a test. */
#ifndef VG_TESTS_SCRATCH_H
#define VG_TESTS_SCRATCH_H

/* Makes an empty directory in @where, or with NULL in $TMPDIR, else in /tmp: the path is the
 * caller's; NULL with errno. */
char *scratch_make (const char *where);

/* Removes the directory at @path with all that is in it; @path is cut off behind its parent, and
 * stays the caller's. 0, or negative. */
int scratch_remove (char *path);

#endif
