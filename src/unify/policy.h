/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sharing policy: etc/unify.policy, and a guest's own unify.policy.
 *
 * One rule a line; "#" starts a comment; patterns are those of util/rules.h. A kind and a pattern
 * is a layered rule: a deeper match goes before a shallower one, then a later line before an
 * earlier, and the guest's file is read behind the host's.
 *   private   never shared: stays in the guest's private layer for good
 *   eager     package-owned: moves to the tree even without a twin
 *   shared    moves to the tree when it has a twin (the default for everything)
 *   drop      a cache that is cheaper to make again than to keep: removed by fold
 *   any-mtime / exact-mtime   whether a different mtime keeps files apart (default: it does)
 *
 * A first-match rule goes before all of those: the first line that matches decides, and the guest's
 * lines come first. Between word and pattern it may have conditions about the file: size, owner or
 * group (a number), one of < <= = >= >, and a number; with conditions the pattern may be missing.
 *   include   what would be private or dropped is shared
 *   exclude   is private
 *   relax-mtime / keep-mtime  as any-mtime and exact-mtime */
#ifndef VG_UNIFY_POLICY_H
#define VG_UNIFY_POLICY_H

#include "tree/fold.h"
#include "util/rules.h"

/* Where a rule comes from. */
struct policy_line {
  const char *file; /* borrowed from the policy */
  unsigned number;
  char *text; /* owned: the line without comment and blanks around it */
};

struct policy {
  struct rules rules; /* owned; verdicts are the FOLD_* bits */
  struct policy_line
      *lines; /* owned: of the rules that were parsed; callers may add others behind */
  size_t line_count;
  char **files; /* owned: names of files */
  size_t file_count;
};

void policy_release (struct policy *policy);
#define autopolicy __attribute__ ((cleanup (policy_release)))

/* Adds the rules of @text. ERR_USAGE with @what and the line number. */
int policy_parse (const char *text, const char *what, struct policy *policy, struct err *err);

/* The host's policy (SYSCONFDIR/vguest/unify.policy, or $VGUEST_POLICY; the built-in one when the
 * file is missing), with unify.policy of the guest directory @guest_fd when it is not -1. */
int policy_load (int guest_fd, struct policy *ret_policy, struct err *err);

/* What the policy says of a path, and by which lines. */
struct policy_reason {
  unsigned verdict;                   /* FOLD_*, without open conditions */
  const struct policy_line *by_class; /* borrowed; NULL when no rule names the path */
  const struct policy_line *by_mtime;
};

/* Looks at each rule alone, so it is for people, not for walks. @path is absolute. @st is NULL when
 * there is no such file, or it is a directory: then no condition holds. Only for a policy whose
 * rules all came from policy_parse or policy_load. */
void policy_explain (const struct policy *policy, const char *path, const struct stat *st,
                     struct policy_reason *ret_reason);

#endif
