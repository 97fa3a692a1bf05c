/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that a clone has as inodes of its own from the start ("own" in etc/clone.policy): a guest
 * sees the number of links that a file of the shared layers has, and some programs refuse files
 * that have more than one. */
#ifndef VG_GUEST_OWN_H
#define VG_GUEST_OWN_H

#include "tree/lower.h"
#include "util/rules.h"

/* Adds the pattern of an "own" rule. ERR_USAGE when it is not one from the root, or has "**". */
int own_add_rule (struct rules *own, const char *pattern, struct err *err);

/* Copies the regular files that the shared layers of @clone, which is in staging, show where a rule
 * of @own matches, or below, to its private layer, and takes them out of a tree that has no base.
 * Partners of such a file are not followed: the copy has one name. Reads only directories that a
 * rule leads to. */
int own_copy (const struct lower *clone, const struct rules *own, struct err *err);

#endif
