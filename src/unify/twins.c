/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unify.h"

void twins_release (struct twins *twins)
{
  u64table_release (&twins->wanted_sizes);
  u64table_release (&twins->wanted);
}

static int find (struct twins *twins, int dir_fd, const char *name, const struct stat *st,
                 unsigned verdict, struct err *err)
{
  unsigned flags = verdict & FOLD_ANY_MTIME ? IDENTITY_ANY_MTIME : 0;
  uint64_t size = (uint64_t) st->st_size;
  struct digest id;
  bool wanted = u64table_has (&twins->wanted_sizes, size);
  int in_store = store_has_size (twins->store, size, err);

  if (in_store < 0)
    return in_store;
  if (!in_store && !wanted)
    return 0;
  if (identity_of (twins->store->hasher, dir_fd, name, flags, &id, NULL, err) < 0)
    return -err->code;
  twins->report->bytes += size;
  if (wanted && u64table_has (&twins->wanted, digest_key (&id)))
    return 1;
  return store_has (twins->store, &id, err);
}

int twins_find (void *data, int dir_fd, const char *name, const struct stat *st, unsigned verdict,
                struct err *err)
{
  struct twins *twins = data;
  int found = find (twins, dir_fd, name, st, verdict, err);

  if (found >= 0)
    return found;
  /* In doubt keep files apart: it stays private, and is reported. */
  unify_report_fail (twins->report, err);
  return 0;
}
