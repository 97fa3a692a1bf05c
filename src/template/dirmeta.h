/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What directories shall look like, kept in a file until everything in them is made: their times
 * change with each entry, and a default ACL would be inherited. A later record of the same path
 * wins. */
#ifndef VG_TEMPLATE_DIRMETA_H
#define VG_TEMPLATE_DIRMETA_H

#include "template/dirstack.h"
#include "template/entry.h"
#include "template/path.h"

struct dirmeta {
  FILE *file; /* owned */
  uint64_t count;
};

/* Makes the file in the directory @temp_fd. */
int dirmeta_start (int temp_fd, struct dirmeta *ret_dirmeta, struct err *err);
void dirmeta_release (struct dirmeta *dirmeta);

/* Notes that the directory of the first @count of @parts shall become @entry. */
int dirmeta_add (struct dirmeta *dirmeta, char *const *parts, size_t count,
                 const struct entry *entry, struct err *err);

/* Applies all records, reaching the directories by @stack. Those that are no directories any more
 * are passed over. */
int dirmeta_apply (struct dirmeta *dirmeta, struct dirstack *stack, struct err *err);

#endif
