/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sharing policy: etc/unify.policy, and a guest's own unify.policy after it.
 *
 * One rule a line: a kind and a path pattern (util/rules.h); "#" starts a comment. Kinds:
 *   private   never shared: stays in the guest's private layer for good
 *   eager     package-owned: moves to the tree even without a twin
 *   shared    moves to the tree when it has a twin (the default for everything)
 *   drop      a cache that is cheaper to make again than to keep: removed by fold
 *   any-mtime / exact-mtime   whether a different mtime keeps files apart (default: it does) */
#ifndef VG_UNIFY_POLICY_H
#define VG_UNIFY_POLICY_H

#include "tree/fold.h"
#include "util/rules.h"

struct policy {
  struct rules rules; /* owned; verdicts are the FOLD_* bits */
};

void policy_release (struct policy *policy);
#define autopolicy __attribute__ ((cleanup (policy_release)))

/* Adds the rules of @text. ERR_USAGE with @what and the line number. */
int policy_parse (const char *text, const char *what, struct policy *policy, struct err *err);

/* The host's policy (SYSCONFDIR/vguest/unify.policy, or $VGUEST_POLICY; the built-in one when the
 * file is missing), then unify.policy of the guest directory @guest_fd when it is not -1. */
int policy_load (int guest_fd, struct policy *ret_policy, struct err *err);

#endif
