/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the configurations that are translated. All of them are the administrator's own. */
#ifndef VG_ADOPT_CONFIGS_H
#define VG_ADOPT_CONFIGS_H

#include "adopt/translation.h"

/* The file @path ("…/config") of an LXC container. Includes are read below /usr/share/lxc and the
 * directory that has it. */
int configs_read_lxc (const char *path, struct translation *translation, struct err *err);

/* The directory @path of util-vserver. */
int configs_read_vserver (const char *path, struct translation *translation, struct err *err);

/* NAME.nspawn; @path is NULL when there is none. @machine: the name of its unit. */
int configs_read_nspawn (const char *path, const char *machine, struct translation *translation,
                         struct err *err);

/* What inspect told. */
int configs_read_inspect (const char *path, struct translation *translation, struct err *err);

/* The name that the tree's own /etc/hostname has becomes the setting, unless there is one. */
void configs_read_hostname (int tree_fd, struct translation *translation);

#endif
