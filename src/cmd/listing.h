/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON output that is as long as a guest has files: written as it comes, an entry a line. */
#ifndef VG_CMD_LISTING_H
#define VG_CMD_LISTING_H

#include "util/json.h"

/* Prints the members of @head, and the beginning of the array @key. Takes @head over. */
void listing_start (json_object *head, const char *key);

/* Takes @entry over. @first: the first one. */
void listing_add (json_object *entry, bool first);

/* The end of the array and of the whole. */
void listing_end (void);

/* "file", "directory", "symlink", …: of a mode. */
const char *listing_type (unsigned mode);

#endif
