/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of guests and templates, and lists of them on command lines. */
#ifndef VG_GUEST_NAMES_H
#define VG_GUEST_NAMES_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

enum { NAME_LENGTH_MAX = 64 };

/* Checks a name: letters, digits, ".", "_", "-"; none of ".", "-" at the start; at most
 * NAME_LENGTH_MAX bytes; not a word of the command line (all, build, delete, …). ERR_USAGE. @kind
 * is "guest" or "template". */
int name_check (const char *name, const char *kind, struct err *err);

/* Checks a host name (RFC 1123: labels of letters, digits and "-", 64 bytes at most). ERR_USAGE. */
int hostname_check (const char *name, struct err *err);

struct names {
  char **items; /* owned */
  size_t count;
};
#define autonames __attribute__ ((cleanup (names_release)))

void names_release (struct names *names);
void names_add (struct names *names, const char *name);
bool names_has (const struct names *names, const char *name);
void names_sort_unique (struct names *names);

/* Expands a comma list of names and bracket ranges, "web[01-03,7],db" -> web01 web02 web03 web7
 * db, in that order, keeping leading zeros. At most 100,000 names; wildcards are passed through.
 * ERR_USAGE on bad syntax. Does not check the names. */
int names_expand (const char *text, struct names *names, struct err *err);

/* The other way, for messages: "db, web[1-31,40]", in the order of people's numbers. The caller's.
 */
char *names_brief (const struct names *names);

/* What a command line selects. */
struct selection {
  struct names patterns; /* owned; names, globs and bracket ranges as written */
  struct names exclude;  /* owned; the same forms */
  bool all;
};
void selection_release (struct selection *selection);
#define autoselection __attribute__ ((cleanup (selection_release)))

/* The names of @existing (sorted) that @selection selects, sorted and unique. A plain name that
 * does not exist is ERR_NO_GUEST with the nearest ones; a selection that comes out empty is
 * ERR_NO_GUEST and says which filter emptied it. */
int selection_resolve (const struct selection *selection, const struct names *existing,
                       struct names *ret_names, struct err *err);

#endif
