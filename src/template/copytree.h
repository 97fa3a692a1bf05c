/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory of the host as the source of a tree. */
#ifndef VG_TEMPLATE_COPYTREE_H
#define VG_TEMPLATE_COPYTREE_H

#include "template/writer.h"

/* Copies all below the directory open at @fd: data by reflink where the file system has it, hard
 * links among the names below @fd kept. What is mounted there is left out: a directory stays,
 * empty. The same goes for the directory (@skip_dev, @skip_ino), the state root that is being
 * written. */
int copytree (struct writer *writer, int fd, dev_t skip_dev, ino_t skip_ino, struct err *err);

#endif
