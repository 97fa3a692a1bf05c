/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inodes.h"
#include "dirread.h"
#include "dirwalk.h"

static int note_dir (void *data, struct dirwalk_turn *turn, struct err *err)
{
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  dirread_start (turn->fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type == DT_DIR)
      dirwalk_enter (turn, entry.name, NULL);
    else
      u64set_add (data, entry.ino);
  }
  return ret < 0 ? err_wrap (err, "/%s", turn->path) : 0;
}

int inodes_note (int top_fd, struct u64set *inodes, struct err *err)
{
  const struct dirwalk walk = {.top_fd = top_fd, .threads = 1, .visit = note_dir, .data = inodes};

  return dirwalk_run (&walk, err);
}
