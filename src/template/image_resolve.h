/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Symlinks above a name in a tree that is being written, followed as its guest would see them:
 * absolute ones and ".." stay inside. Only names come out of it, for functions that pass no
 * symlink: so what changes in between leads nowhere else. */
#ifndef VG_TEMPLATE_IMAGE_RESOLVE_H
#define VG_TEMPLATE_IMAGE_RESOLVE_H

#include "template/path.h"

/* Replaces the components of @path above the last by those that they lead to. Components that are
 * not there stay. ELOOP; ENAMETOOLONG. */
int resolve_parents (int tree_fd, struct path *path, struct err *err);

/* The same for a text: *@ret_text is the caller's, or NULL when nothing changes. */
int resolve_text (int tree_fd, const char *text, char **ret_text, struct err *err);

#endif
