/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the writer share among themselves. */
#ifndef VG_TEMPLATE_WRITER_INTERNAL_H
#define VG_TEMPLATE_WRITER_INTERNAL_H

#include "template/writer.h"

/* Takes the name apart, makes what is missing above it, and gives the directory and the last
 * component, both borrowed until the next entry. The top directory itself is refused. */
int writer_enter (struct writer *writer, const char *path, int *ret_dir_fd, const char **ret_name,
                  struct err *err);

/* Removes what an earlier entry put at the name. */
int writer_remove_old (struct writer *writer, int dir_fd, const char *name, struct err *err);

/* Moves what is left of regrouped files, wherever it is in the tree. */
int writer_finish_groups (struct writer *writer, struct err *err);

/* Counts files, directories and bytes anew. */
int writer_recount (struct writer *writer, struct err *err);

/* Puts the name of the entry, quoted, before the error. */
int writer_wrap (const char *path, struct err *err);

#endif
