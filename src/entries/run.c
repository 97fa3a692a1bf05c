/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"
#include "store/entries.h"
#include "unify/dirtimes.h"
#include "util/dirread.h"
#include "util/dirwalk.h"
#include "util/fd.h"
#include "util/inodes.h"
#include "util/interrupt.h"

void entries_report_release (struct entries_report *report)
{
  int saved = errno;

  free (report->first_error);
  report->first_error = NULL;
  errno = saved;
}

void entries_fail (struct entries_report *report, struct err *err)
{
  report->failed++;
  if (!report->first_error)
    report->first_error = xstrdup (err_text (err));
  err_release (err);
}

/* What guests do: none is started while we have the root lock. */
static int read_states (struct fsck *fsck, struct err *err)
{
  for (size_t i = 0; i < fsck->place_count; i++) {
    struct fsck_place *place = &fsck->places[i];
    autoclose int fd = place->kind == FSCK_TEMPLATE ? -1 : fsck_open_place (fsck, place, err);
    struct guest guest = {.name = place->name, .fd = fd, .lock_fd = -1};

    if (place->kind == FSCK_TEMPLATE)
      continue;
    if (fd < 0)
      return fd;
    place->state = guest_state_name (fsck->root, &guest, err);
    if (!place->state)
      return -err->code;
  }
  return 0;
}

int entries_look_start (struct entries_run *run, struct err *err)
{
  struct fsck *fsck = &run->fsck;

  fsck->root = run->root;
  if (fsck_lock_root (fsck, LOCK_SHARED, err) < 0 || fsck_find_places (fsck, err) < 0)
    return -err->code;
  run->places = xcalloc (fsck->place_count + 1, sizeof *run->places);
  return 0;
}

int entries_run_start (struct entries_run *run, struct err *err)
{
  struct fsck *fsck = &run->fsck;

  fsck->root = run->root;
  if (fsck_lock_alone (fsck, err) < 0 || fsck_find_places (fsck, err) < 0 ||
      fsck_recover (fsck, err) < 0 || entries_sweep (run->root->store, err) < 0 ||
      read_states (fsck, err) < 0)
    return -err->code;
  for (size_t i = 0; i < fsck->finding_count; i++)
    if (fsck->findings[i].error)
      return err_code (err, EUCLEAN, "%s: %s: see `vstore fsck`", fsck->findings[i].where,
                       fsck->findings[i].text);
  run->places = xcalloc (fsck->place_count + 1, sizeof *run->places);
  return 0;
}

void entries_run_end (struct entries_run *run)
{
  for (size_t i = 0; i < run->place_count; i++) {
    fsck_change_close (&run->places[i].change);
    policy_release (&run->places[i].policy);
    u64set_release (&run->places[i].inodes);
  }
  free (run->places);
  run->places = NULL;
  run->place_count = 0;
  fsck_release (&run->fsck);
}

static int look_at_guest (struct fsck *fsck, size_t index, struct fsck_change *ret_change,
                          struct err *err)
{
  struct fsck_place *place = &fsck->places[index];
  autofsckchange struct fsck_change change = FSCK_CHANGE_NONE;

  change.place = place;
  change.fd = fsck_open_place (fsck, place, err);
  if (change.fd < 0 && err->code == ENOENT) {
    err_release (err); /* deleted meanwhile */
    return 0;
  }
  if (change.fd < 0)
    return change.fd;
  int locked = fsck_change_lock (fsck, place, LOCK_SHARED, &change, err);
  if (locked <= 0)
    return locked;
  change.tree_fd = fd_open_dir (change.fd, "tree");
  if (change.tree_fd < 0)
    return err_errno (err, "open tree");
  *ret_change = change;
  change = FSCK_CHANGE_NONE;
  return 1;
}

static int open_place (struct entries_run *run, size_t index, bool look, struct err *err)
{
  struct entries_place *place = &run->places[run->place_count];
  const struct fsck_place *there = &run->fsck.places[index];

  *place = (struct entries_place){.index = index, .change = FSCK_CHANGE_NONE};
  int opened = look ? look_at_guest (&run->fsck, index, &place->change, err)
                    : fsck_change_open (&run->fsck, index, &place->change, err);
  if (opened < 0)
    return err_wrap (err, "%s", there->path);
  if (!opened) {
    run->report->skipped++;
    if (!run->report->first_error)
      run->report->first_error = xasprintf ("%s is in use", there->path);
    return 0;
  }
  run->place_count++;
  return 1;
}

int entries_open_place (struct entries_run *run, size_t index, struct err *err)
{
  return open_place (run, index, /* look= */ false, err);
}

int entries_look_place (struct entries_run *run, size_t index, struct err *err)
{
  return open_place (run, index, /* look= */ true, err);
}

int entries_note_inodes (struct entries_place *place, int fd, struct err *err)
{
  if (interrupt_check (err) < 0)
    return -err->code;
  return inodes_note (fd, &place->inodes, err);
}

struct noting {
  const struct u64table *inodes;
  struct dirtimes times;
};

static int note_dir (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct noting *noting = data;
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  bool changes = false;
  int ret;

  dirread_start (turn->fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type == DT_DIR)
      dirwalk_enter (turn, entry.name, NULL);
    else
      changes |= u64table_has (noting->inodes, entry.ino);
  }
  if (ret < 0)
    return err_wrap (err, "/%s", turn->path);
  return changes ? dirtimes_note (&noting->times, turn->fd, turn->path, err) : 0;
}

int entries_give_up (struct entries_place *place, struct err *err)
{
  autoerr struct err ignored = {0};

  /* What cannot be removed goes with the next command. */
  fsck_change_end (&place->change, &ignored);
  return -err->code;
}

/* What was begun is finished: a signal does not end it, and what failed once is tried again. */
static int replace_names (struct entries_place *place, struct err *err)
{
  autoerr struct err first = {0};

  if (fsck_change_replace (&place->change, &first) == 0 ||
      fsck_change_replace (&place->change, err) == 0)
    return fsck_change_end (&place->change, err);
  return -err->code;
}

int entries_replace (struct entries_place *place, const struct u64table *inodes, struct err *err)
{
  struct fsck_change *change = &place->change;
  struct noting noting = {.inodes = inodes};
  const struct dirwalk walk = {
      .top_fd = change->tree_fd, .threads = 1, .visit = note_dir, .data = &noting};

  dirtimes_start (&noting.times);
  int ret = dirwalk_run (&walk, err);
  if (ret == 0)
    ret = dirtimes_write (&noting.times, change->temp_fd, err);
  dirtimes_release (&noting.times);
  return ret < 0 ? entries_give_up (place, err) : replace_names (place, err);
}
