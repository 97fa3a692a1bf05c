/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "change.h"
#include "internal.h"
#include "unify/dirtimes.h"
#include "unify/groups.h"
#include "util/fd.h"

void fsck_change_close (struct fsck_change *change)
{
  cleanup_close (&change->temp_fd);
  cleanup_close (&change->tree_fd);
  cleanup_close (&change->fd);
  cleanup_close (&change->lock_fd);
  *change = FSCK_CHANGE_NONE;
}

bool fsck_base_in_use (const struct fsck *fsck, size_t template)
{
  for (size_t i = 0; i < fsck->place_count; i++)
    if (fsck->places[i].thin && fsck->places[i].base == template &&
        strcmp (fsck->places[i].state, "stopped") != 0)
      return true;
  return false;
}

static int open_temp (struct fsck_change *change, struct err *err)
{
  if (change->place->kind == FSCK_TEMPLATE) {
    change->temp_fd = fd_make_dir (change->fd, "repair", 0700);
  } else {
    autoclose int txn_fd = fd_open_dir (change->fd, "txn");

    change->temp_fd = txn_fd < 0 ? -1 : fd_make_dir (txn_fd, "temp", 0700);
  }
  return change->temp_fd < 0 ? err_errno (err, "make a directory for temporary links") : 0;
}

int fsck_change_lock (struct fsck *fsck, struct fsck_place *place, enum lock_mode mode,
                      struct fsck_change *change, struct err *err)
{
  const struct lock_how how = {.rank = LOCK_RANK_GUEST, .mode = mode, .no_wait = true};
  struct guest guest = {.name = place->name, .fd = change->fd, .lock_fd = -1};

  if (lock_acquire (change->fd, "lock", &how, place->path, &change->lock_fd, err) < 0) {
    if (err->code != ERR_LOCKED)
      return -err->code;
    err_release (err);
    return 0;
  }
  const char *state = guest_state_name (fsck->root, &guest, err);
  if (!state)
    return -err->code;
  place->state = state;
  if (strcmp (state, "stopped") != 0)
    return 0;
  int ran = guest_has_run (&guest, err);
  return ran < 0 ? ran : !ran;
}

int fsck_change_open (struct fsck *fsck, size_t index, struct fsck_change *ret_change,
                      struct err *err)
{
  struct fsck_place *place = &fsck->places[index];
  autofsckchange struct fsck_change change = FSCK_CHANGE_NONE;

  change.place = place;
  if (fsck_base_in_use (fsck, index))
    return 0;
  change.fd = fsck_open_place (fsck, place, err);
  if (change.fd < 0)
    return change.fd;
  int locked = place->kind == FSCK_TEMPLATE
                   ? 1
                   : fsck_change_lock (fsck, place, LOCK_EXCLUSIVE, &change, err);
  if (locked <= 0)
    return locked;
  change.tree_fd = fd_open_dir (change.fd, "tree");
  if (change.tree_fd < 0)
    return err_errno (err, "open tree");
  if (open_temp (&change, err) < 0)
    return -err->code;
  *ret_change = change;
  change = FSCK_CHANGE_NONE;
  return 1;
}

int fsck_change_replace (struct fsck_change *change, struct err *err)
{
  autoclose int history_fd = fd_open_dir (change->fd, "history");

  if (history_fd < 0 && errno != ENOENT)
    return err_errno (err, "open history");
  if ((history_fd >= 0 && groups_apply (history_fd, change->temp_fd, err) < 0) ||
      groups_finish (change->tree_fd, change->temp_fd, err) < 0 ||
      dirtimes_restore (change->tree_fd, change->temp_fd, err) < 0)
    return -err->code;
  return 0;
}

int fsck_change_end (struct fsck_change *change, struct err *err)
{
  bool template = change->place->kind == FSCK_TEMPLATE;
  autoclose int txn_fd = template ? -1 : fd_open_dir (change->fd, "txn");

  return template      ? fd_remove_tree (change->fd, "repair", err)
         : txn_fd >= 0 ? fd_remove_tree (txn_fd, "temp", err)
                       : err_errno (err, "open txn");
}
