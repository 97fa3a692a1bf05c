/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of verbs, for drivers of managers that have many. */
#ifndef VG_PKG_VERBS_H
#define VG_PKG_VERBS_H

#include "pkg/driver.h"

/* What a verb does: bits for tables. */
enum {
  PKG_DOES_READ = 1, /* read_only */
  PKG_DOES_NEED_LISTS = 2,
  PKG_DOES_MAYBE_NOTHING = 4, /* may_do_nothing */
  PKG_DOES_REFRESH = 8,
  PKG_DOES_PLAN = 16,
  PKG_DOES_REPAIR = 32,
  PKG_DOES_IDLE = 64,
};

struct pkg_verb_entry {
  const char *name; /* "upgrade"; "group list" with a second word; "history *" with any other */
  unsigned flags;
};

/* Looks up @verb with the word behind it, which may be NULL. 0, a plain change, when it is not in
 * @table, which a NULL name ends. */
unsigned pkg_verb_flags (const struct pkg_verb_entry *table, const char *verb, const char *second);

/* Sets what @flags say; true stays true. */
void pkg_request_add_flags (struct pkg_request *request, unsigned flags);

#endif
