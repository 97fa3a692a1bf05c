/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before a repair: what killed commands left is finished or undone. */
#include "internal.h"
#include "unify/dirtimes.h"
#include "unify/groups.h"
#include "util/fd.h"

/* A repair of a template that was interrupted. */
static int finish_template (struct fsck *fsck, const struct fsck_place *place, struct err *err)
{
  autoclose int fd = fsck_open_place (fsck, place, err);
  autoclose int temp_fd = fd < 0 ? -1 : fd_open_dir (fd, "repair");
  autoclose int tree_fd = fd < 0 ? -1 : fd_open_dir (fd, "tree");

  if (fd < 0)
    return fd;
  if (temp_fd < 0 || tree_fd < 0)
    return 0;
  if (groups_finish (tree_fd, temp_fd, err) < 0 || dirtimes_restore (tree_fd, temp_fd, err) < 0)
    return -err->code;
  return fd_remove_tree (fd, "repair", err);
}

static int recover_guest (struct fsck *fsck, const struct fsck_place *place, struct err *err)
{
  autoguest struct guest *guest = NULL;

  /* Opening it does all. */
  return guest_open (fsck->root, place->name, GUEST_LOCKED, &guest, err);
}

int fsck_recover (struct fsck *fsck, struct err *err)
{
  bool no_wait = fsck->root->no_wait;

  if (staging_sweep (fsck->root, err) < 0)
    return -err->code;
  /* A guest that somebody has locked is left alone. */
  fsck->root->no_wait = true;
  for (size_t i = 0; i < fsck->place_count; i++) {
    const struct fsck_place *place = &fsck->places[i];
    autoerr struct err place_err = {0};
    int ret = 0;

    if (place->kind == FSCK_TEMPLATE)
      ret = finish_template (fsck, place, &place_err);
    else if (place->kind == FSCK_GUEST)
      ret = recover_guest (fsck, place, &place_err);
    if (ret < 0 && place_err.code != ERR_LOCKED)
      fsck_add (fsck, FSCK_UNREADABLE, true, place->path, "recover it: %s", err_text (&place_err));
  }
  fsck->root->no_wait = no_wait;
  return 0;
}
