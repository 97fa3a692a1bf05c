/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Path rules that are matched while a walk descends, without path strings.
 *
 * A rule has a pattern and a (mask, value): where the pattern matches, the bits of mask in the
 * verdict become those of value, for the path and for all below it. "/a/b*" is anchored at the
 * root of the walk; "b*" without a leading slash matches a name at any depth. Wildcards are those
 * of fnmatch(3) within one component; they match leading dots. A deeper match overrides a
 * shallower one; at equal depth the later rule wins.
 *
 * Life cycle: rules_add all, then rules_start, rules_enter per entry, rules_state_release. */
#ifndef VG_UTIL_RULES_H
#define VG_UTIL_RULES_H

#include "cleanup.h"
#include <stdbool.h>
#include <stddef.h>

struct rule {
  char **parts;  /* owned; the components */
  bool *literal; /* owned; the component has no wildcard */
  size_t count;
  bool anchored;
  unsigned mask;
  unsigned value;
};

struct rules {
  struct rule *items; /* owned */
  size_t count;
  size_t *floating; /* owned; indices of the rules that are not anchored, ascending */
  size_t floating_count;
};

#define autorules __attribute__ ((cleanup (rules_release)))

/* Where a walk stands: the verdict so far, and the anchored rules that can still match below. */
struct rules_state {
  unsigned verdict;
  size_t depth;
  size_t count;
  size_t *live; /* owned; indices into rules->items, ascending */
};

void rules_release (struct rules *rules);

/* Adds a rule. ERR_USAGE when @pattern is empty, or has "." or ".." or empty components. */
int rules_add (struct rules *rules, const char *pattern, unsigned mask, unsigned value,
               struct err *err);

/* The state at the root of a walk, with the verdict @initial. The root itself ("/") may be named
 * by a rule. */
void rules_start (const struct rules *rules, unsigned initial, struct rules_state *ret_state);

/* The state of the entry @name in the directory of @parent. */
void rules_enter (const struct rules *rules, const struct rules_state *parent, const char *name,
                  struct rules_state *ret_state);

void rules_state_copy (const struct rules_state *state, struct rules_state *ret_copy);
void rules_state_release (struct rules_state *state);
#define autorulesstate __attribute__ ((cleanup (rules_state_release)))

/* The state at the path "a/b" below the root of a walk. */
void rules_enter_path (const struct rules *rules, unsigned initial, const char *path,
                       struct rules_state *ret_state);

/* The verdict for a whole path such as "/usr/lib/x"; for callers that hold a path already. */
unsigned rules_verdict (const struct rules *rules, unsigned initial, const char *path);

#endif
