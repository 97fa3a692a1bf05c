/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kind "bootstrap": a new Debian system by mmdebstrap, or by debootstrap where that is missing.
 *
 * They are run in pid and mount namespaces of their own, so that no process and no mount of theirs
 * outlives this one, with a clean environment, and from their default mirror: none is named here.
 * mmdebstrap lists updates and security in sources.list; these lines are hidden from it while it
 * works, unless updates are wanted. For debootstrap they are added behind it. */
#ifndef VG_TEMPLATE_BOOTSTRAP_H
#define VG_TEMPLATE_BOOTSTRAP_H

#include "guest/names.h"

/* What the definition says: the data of kind_bootstrap. */
struct bootstrap {
  char *suite;          /* owned */
  char *variant;        /* owned */
  struct names include; /* owned */
  bool updates;
};

/* Put before lines of sources.list that are hidden from the bootstrap. */
#define BOOTSTRAP_HIDDEN "#vguest "

/* The list of sources @text with hidden lines shown again, and with lines for updates and security
 * derived from the release's when there are none. The caller's string. */
char *bootstrap_sources (const char *text, const char *suite);

/* Takes what belongs to this host out of a new system, and completes its list of sources. */
int bootstrap_tidy (int tree_fd, const char *suite, struct err *err);

#endif
