/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of an LXC container: "key = value" lines, of versions 1 to 6
 * (lxc.container.conf(5); the names before 2.1 are those of lxc-update-config(1)). */
#ifndef VG_ADOPT_LXC_H
#define VG_ADOPT_LXC_H

#include "adopt/translation.h"

enum { LXC_INCLUDE_DEPTH_MAX = 8, LXC_INCLUDES_MAX = 64 };

/* Where lxc.include and lxc.mount.fstab lead. */
struct lxc_files {
  /* The text of what @path names: 0, the caller's, or -1 when that is not to be read. A directory
   * gives its *.conf, one after the other. */
  int (*read) (void *data, const char *path, char **ret_text);
  void *data;
};

/* Translates @text. @files may be NULL: then nothing is followed. */
void lxc_translate (struct translation *translation, const char *text,
                    const struct lxc_files *files);

#endif
