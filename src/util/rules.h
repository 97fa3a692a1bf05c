/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Path rules that are matched while a walk descends, without path strings.
 *
 * A rule has a pattern and a (mask, value): where the pattern matches, the bits of mask in the
 * verdict become those of value, for the path and for all below it. "/a/b*" is anchored at the
 * root of the walk; "b*" without a leading slash, or "b/c" of several components, matches at any
 * depth. Wildcards are those of fnmatch(3) within one component, and match leading dots; "**"
 * matches any number of components, none included, also as a part of one: "x**y" is "x*y" and
 * "x*" "/" "**" "/" "*y". "a/" "**" is all that is in a.
 *
 * There are two kinds. Among layered rules (rules_add) a deeper match overrides a shallower one; at
 * equal depth the later rule wins. First-match rules (rules_add_first) go before them: of those of
 * one aspect the first in order that matches the path or a directory above it decides, whatever the
 * depth. Such a rule may have a condition about the file; as a walk often knows no more than a
 * name, conditions that are open are noted in the verdict, and rules_settle asks them when the
 * caller has a stat of the file anyway.
 *
 * Life cycle: rules_add all, then rules_start, rules_enter per entry, rules_state_release. */
#ifndef VG_UTIL_RULES_H
#define VG_UTIL_RULES_H

#include "cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* The bits of a verdict. The lowest are the callers'; first-match rules may change those of
 * RULES_FIRST_BITS alone. */
enum {
  RULES_VALUE_BITS = (1 << 9) - 1,
  RULES_FIRST_BITS = (1 << 3) - 1,
  RULES_LAYERED_SHIFT = 9, /* RULES_FIRST_BITS by layered rules alone, where conditions are open */
  RULES_OPEN_SHIFT = 12,   /* open conditions, a bit each; those of neighbours are one */
  RULES_CONDITIONS_MAX = 32 - RULES_OPEN_SHIFT,
  RULES_ASPECTS = 2,
};

/* What must hold of a file: inclusive limits. */
struct rule_condition {
  uint64_t size_min, size_max;
  uint64_t uid_min, uid_max;
  uint64_t gid_min, gid_max;
};

#define RULE_CONDITION_NONE                                                                        \
  ((struct rule_condition){.size_max = UINT64_MAX, .uid_max = UINT64_MAX, .gid_max = UINT64_MAX})

struct rule {
  char *pattern; /* owned */
  char **parts;  /* owned; the components, without "**" */
  bool *literal; /* owned; the component has no wildcard */
  bool *deep;    /* owned; any number of components may be before it */
  size_t count;
  unsigned mask;
  unsigned value;
  bool first;          /* a first-match rule; what follows is for these alone */
  unsigned aspect;     /* below RULES_ASPECTS */
  unsigned open;       /* its bit of a verdict, or 0 when it has no condition */
  unsigned open_above; /* the bits of this aspect that were given to earlier rules */
  struct rule_condition condition;
};

struct rules {
  struct rule *items; /* owned */
  size_t count;
  size_t *floating; /* owned; indices of the rules whose first component is deep, ascending */
  size_t floating_count;
  unsigned open_count;
  size_t conditional[RULES_CONDITIONS_MAX]; /* the first rule of each open bit */
  unsigned aspect_mask[RULES_ASPECTS];      /* what its rules change */
  unsigned aspect_open[RULES_ASPECTS];      /* the open bits of its rules */
};

#define autorules __attribute__ ((cleanup (rules_release)))

/* A rule that can still match below, and the component of it that is next. */
struct rules_live {
  size_t rule;
  size_t part;
};

/* Where a walk stands: the verdict so far, and the rules that can still match below, but for those
 * that float. */
struct rules_state {
  unsigned verdict; /* with open conditions, see rules_settle */
  unsigned layered; /* by layered rules alone */
  unsigned open;
  size_t decided[RULES_ASPECTS]; /* the first-match rule without a condition, + 1; or 0 */
  size_t depth;
  size_t count;
  struct rules_live *live; /* owned; ascending */
};

void rules_release (struct rules *rules);

/* Adds a layered rule. ERR_USAGE when @pattern is empty, has "." or ".." or empty components, or is
 * out of bounds. After an error @rules has the rules of before. */
int rules_add (struct rules *rules, const char *pattern, unsigned mask, unsigned value,
               struct err *err);

/* Adds a first-match rule behind those that are there, of the @aspect (below RULES_ASPECTS) whose
 * rules decide the bits @aspect_mask. It changes the bits @mask of what layered rules say.
 * @condition is NULL for none. ERR_USAGE as above, and when there are too many conditions; after an
 * error @rules is good for its release alone. */
int rules_add_first (struct rules *rules, const char *pattern, unsigned aspect,
                     unsigned aspect_mask, unsigned mask, unsigned value,
                     const struct rule_condition *condition, struct err *err);

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

/* The verdict about the file that has @st, which is no directory: @verdict without open conditions.
 * (A directory is judged without them: by the value bits of @verdict as it is.) */
unsigned rules_settle (const struct rules *rules, unsigned verdict, const struct stat *st);

/* Can rules_settle say so that the bits @mask are @value? Without it, no stat is needed. */
bool rules_can_be (const struct rules *rules, unsigned verdict, unsigned mask, unsigned value);

/* Is there no rule that could change the bits @mask deeper than @state? */
bool rules_are_final (const struct rules *rules, const struct rules_state *state, unsigned mask);

/* Does the file with @st fulfil @condition? */
bool rule_condition_holds (const struct rule_condition *condition, const struct stat *st);

/* Does @rule match a prefix of the path "/a/b", the whole included? Then *@ret_depth is the number
 * of components of the deepest one. It looks at this rule alone: for explanations. */
bool rule_matches (const struct rule *rule, const char *path, size_t *ret_depth);

#endif
