/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hard-link groups of a tree move to an object together. Before the first name of a group is
 * replaced, the object is linked into the temporary directory as "group-INO-DIR", INO being the
 * inode that the names are on now; at the end of the pass, or by recovery, one walk over the tree
 * takes every name that is still on INO to that link. DIR is the inode of the temporary directory
 * itself: where it is another one, the state root was copied in between, and numbers mean nothing
 * any more. */
#ifndef VG_UNIFY_GROUPS_H
#define VG_UNIFY_GROUPS_H

#include "util/strbuf.h"
#include <stddef.h>
#include <stdint.h>

#define GROUP_NAME_SIZE 64

/* The link's name in @temp_fd. */
int group_name (int temp_fd, uint64_t ino, char *name, struct err *err);

/* Takes all names below @dir_fd, to all links that @temp_fd has, which stay. The times of
 * directories stay as well, unless it is killed. */
int groups_apply (int dir_fd, int temp_fd, struct err *err);

/* Finishes all groups that @temp_fd has links of, and removes the links. After an error the links
 * stay, and a later call finishes. */
int groups_finish (int tree_fd, int temp_fd, struct err *err);

/* The same for a caller who knows which directories have names that are left: @dirs are their
 * paths, NUL behind each. */
int groups_finish_in (int tree_fd, int temp_fd, const struct strbuf *dirs, struct err *err);

#endif
