/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "copies.h"
#include "layer.h"
#include "util/copy.h"
#include "util/fd.h"
#include <inttypes.h>

enum { NUMBER_SIZE = 24 };

void copies_release (struct copies *copies)
{
  u64table_release (&copies->names);
}

static int copy (int from_dir, const char *from, const struct stat *st, int to_dir, const char *to,
                 struct err *err)
{
  if (copy_inode (from_dir, from, st, -1, NULL, to_dir, to, err) < 0 ||
      layer_copy_protattr (-1, from_dir, from, -1, to_dir, to, err) < 0)
    return -err->code;
  return 0;
}

int copies_link (struct copies *copies, uint64_t ino, int to_dir, const char *to, struct err *err)
{
  char number[NUMBER_SIZE];

  snprintf (number, sizeof number, "%" PRIu64, ino);
  if (linkat (copies->fd, number, to_dir, to, 0) < 0)
    return err_errno (err, "link %s to the copy of its inode", to);
  return 0;
}

int copies_put (struct copies *copies, int from_dir, const char *from, const struct stat *st,
                int to_dir, const char *to, struct err *err)
{
  uint64_t *names = u64table_put (&copies->names, st->st_ino, NULL);
  char number[NUMBER_SIZE];

  if (st->st_nlink < 2) {
    ++*names;
    return copy (from_dir, from, st, to_dir, to, err);
  }
  snprintf (number, sizeof number, "%" PRIu64, (uint64_t) st->st_ino);
  if (!*names && copy (from_dir, from, st, copies->fd, number, err) < 0)
    return -err->code;
  ++*names;
  return copies_link (copies, st->st_ino, to_dir, to, err);
}
