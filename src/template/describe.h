/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a tree says of itself. */
#ifndef VG_TEMPLATE_DESCRIBE_H
#define VG_TEMPLATE_DESCRIBE_H

#include "util/json.h"

/* Adds "os" (PRETTY_NAME of os-release) and "architecture" (as uname -m says, from an ELF file that
 * every system has) to @info where the tree open at @tree_fd tells. Its contents are not trusted:
 * what is not sensible is left out. */
void describe_tree (int tree_fd, json_object *info);

#endif
