/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

/* Is the entry "verb second", or "verb *"? */
static bool is_pair (const char *name, const char *verb, const char *second)
{
  size_t len = strlen (verb);

  return strncmp (name, verb, len) == 0 && name[len] == ' ' && strcmp (name + len + 1, second) == 0;
}

unsigned pkg_verb_flags (const struct pkg_verb_entry *table, const char *verb, const char *second)
{
  const struct pkg_verb_entry *entry;

  for (entry = table; second && entry->name; entry++)
    if (is_pair (entry->name, verb, second))
      return entry->flags;
  for (entry = table; second && entry->name; entry++)
    if (is_pair (entry->name, verb, "*"))
      return entry->flags;
  for (entry = table; entry->name; entry++)
    if (strcmp (entry->name, verb) == 0)
      return entry->flags;
  return 0;
}

void pkg_request_add_flags (struct pkg_request *request, unsigned flags)
{
  request->read_only |= (flags & PKG_DOES_READ) != 0;
  request->needs_lists |= (flags & PKG_DOES_NEED_LISTS) != 0;
  request->may_do_nothing |= (flags & PKG_DOES_MAYBE_NOTHING) != 0;
  request->refresh |= (flags & PKG_DOES_REFRESH) != 0;
  request->plans |= (flags & PKG_DOES_PLAN) != 0;
  request->repairs |= (flags & PKG_DOES_REPAIR) != 0;
  request->idle |= (flags & PKG_DOES_IDLE) != 0;
}
