/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names from an archive, taken apart before anything is done with them. Never joined again. */
#ifndef VG_TEMPLATE_PATH_H
#define VG_TEMPLATE_PATH_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

/* Deeper than any tree that is meant; some programs have a descriptor open for each level. */
enum { PATH_DEPTH_MAX = 4096 };

/* Reused from entry to entry: no allocation for most of them. */
struct path {
  char *text; /* owned; where parts point into */
  size_t text_size;
  char **parts; /* owned array: the components; none for the top directory */
  size_t parts_size;
  size_t count;
  bool absolute; /* there were leading slashes; they are dropped, as tar does */
};
#define autopath __attribute__ ((cleanup (path_release)))

/* Takes @text apart: leading slashes, empty components and "." are dropped, all other bytes kept.
 * Errors: EINVAL for ".." anywhere; ENAMETOOLONG for a component of more than 255 bytes or more
 * than PATH_DEPTH_MAX of them. */
int path_split (struct path *path, const char *text, struct err *err);
void path_release (struct path *path);

bool path_equal (const struct path *a, const struct path *b);

/* @text for a message: quoted, shortened, with control characters and bytes that are not ASCII as
 * \ooo. The caller's string. */
char *path_quote (const char *text);

#endif
