/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What folding and unifying a private layer would do, told without doing it. */
#ifndef VG_ADOPT_ESTIMATE_H
#define VG_ADOPT_ESTIMATE_H

#include "unify/unify.h"

/* Adds to @report what guest_settle would say of a guest whose private layer were the tree open at
 * @fd, and whose tree were empty: moved, dropped, files, bytes, linked, linked_bytes, published.
 * Nothing is written. Errors of single files are counted in it. */
int estimate_settle (struct store *store, const struct policy *policy, int fd,
                     struct unify_report *report, struct err *err);

#endif
