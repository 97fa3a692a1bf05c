/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of a util-vserver guest: a directory of small files, /etc/vservers/NAME
 * ("The content of the /etc/vservers directory" in the manual of util-vserver; what the words in
 * bcapabilities, ccapabilities and flags mean: capabilities(7), and "Capabilities and Flags" of the
 * Linux-VServer documentation). */
#ifndef VG_ADOPT_VSERVER_H
#define VG_ADOPT_VSERVER_H

#include "adopt/translation.h"

enum { VSERVER_FILES_MAX = 4096, VSERVER_DEPTH_MAX = 4 };

struct vserver; /* what several files say together */

/* @page_size: of the host that the guest ran on, for limits counted in pages. */
struct vserver *vserver_begin (struct translation *translation, int64_t page_size);

/* Takes the file @path ("interfaces/0/ip"), whose contents are @text; for a symlink @text is where
 * it leads. In any order. */
void vserver_take (struct vserver *vserver, const char *path, const char *text);

/* Sets what several files say together, and frees @vserver. */
void vserver_end (struct vserver *vserver);

#endif
