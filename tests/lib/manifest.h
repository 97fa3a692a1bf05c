/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A canonical list of everything that can be seen of a tree: for each path the type, mode, owner,
 * size, mtime (ns), device number, symlink target, contents (SHA-256), extended attributes, and
 * which other path it shares its inode with. Two trees that a guest cannot tell apart have equal
 * manifests. Not in it: inode numbers, link counts, atime, ctime, sizes of directories. */
#ifndef VG_TESTS_MANIFEST_H
#define VG_TESTS_MANIFEST_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct manifest_entry {
  char *path; /* owned; relative, as bytes; "." for the top */
  char *text; /* owned; all but mtime and partner, printable */
  struct stat st;
  size_t partner; /* the first entry on the same inode: itself when there is none before it */
};

struct manifest {
  struct manifest_entry *items; /* owned; sorted by path in byte order */
  size_t count;
};

void manifest_release (struct manifest *manifest);
#define automanifest __attribute__ ((cleanup (manifest_release)))

/* Reads the tree open at @dir_fd, of any depth and with paths of any length. */
int manifest_read (int dir_fd, struct manifest *ret_manifest, struct err *err);

/* Takes out the entries, but no directories, that @leave_out says. */
typedef bool manifest_path_fn (void *data, const char *path);
void manifest_filter (struct manifest *manifest, manifest_path_fn *leave_out, void *data);

/* The entry at @path, or NULL. */
const struct manifest_entry *manifest_find (const struct manifest *manifest, const char *path);

/* The number of differences; the first 20 go to @out with @what in front, unless @out is NULL.
 * @any_mtime, which may be NULL, says whose mtime may differ. */
size_t manifest_compare (const struct manifest *before, const struct manifest *after,
                         const char *what, manifest_path_fn *any_mtime, void *data, FILE *out);

/* One line per path, to be kept and compared by diff(1). */
void manifest_print (const struct manifest *manifest, FILE *out);

/* @text with everything that is not a plain printable byte as \xNN. The caller's string. */
char *printable (const char *text, size_t len);

#endif
