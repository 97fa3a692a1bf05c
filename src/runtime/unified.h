/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of a guest's files that are objects of the store, as the guest itself may see it. */
#ifndef VG_RUNTIME_UNIFIED_H
#define VG_RUNTIME_UNIFIED_H

#include "store/store.h"
#include "util/strbuf.h"

/* Lists what is below @root_fd, the merged root of a guest that may run, in lines of
 *
 *   HASH INODE PATH
 *
 * in the byte order of paths: the object, without its slot, which would tell of other guests; the
 * inode's number as the guest sees it; the path with newlines and backslashes as \012 and \134.
 * What has data or metadata of its own is not in it. What goes away meanwhile is left out.
 *
 * The cost is that of reading the directories of the guest and of the store once; no stat. The
 * caller's buffer takes the text. */
int unified_list (struct store *store, int root_fd, struct strbuf *ret_text, struct err *err);

#endif
