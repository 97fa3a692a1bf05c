/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making entries. */
#include "candidates.h"
#include "guest/collect.h"
#include "store/entries.h"
#include "store/store_internal.h"
#include "tree/overlay.h"
#include "unify/groups.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"

/* One file and the places that have it, for the functions of entries_request. */
struct asking {
  struct entries_run *run;
  const struct candidates *candidates;
  const struct candidate_object *object;
};

static bool is_taken (void *data, uint64_t ino)
{
  const struct asking *asking = data;

  for (size_t i = 0; i < asking->run->place_count; i++)
    if (u64set_has (&asking->run->places[i].inodes, asking->object->ino) &&
        u64set_has (&asking->run->places[i].inodes, ino))
      return true;
  return false;
}

static bool is_equal (void *data, uint64_t ino)
{
  const struct asking *asking = data;

  return candidates_equal (asking->candidates, ino, asking->object);
}

static void note_taken (struct entries_run *run, uint64_t ino, uint64_t entry_ino)
{
  for (size_t i = 0; i < run->place_count; i++)
    if (u64set_has (&run->places[i].inodes, ino))
      u64set_add (&run->places[i].inodes, entry_ino);
}

/* Makes the entry of one file. What is not equal to it, for whatever reason, is not taken. */
static int make_entry (struct entries_run *run, const struct candidates *candidates,
                       struct candidate_object *object, struct err *err)
{
  struct store *store = run->root->store;
  const struct candidate_object *whole = &candidates->objects[object->whole - 1];
  char like[SLOT_NAME_SIZE], data[SLOT_NAME_SIZE], made[SLOT_NAME_SIZE];
  struct asking asking = {run, candidates, object};
  struct stat st = {0};
  unsigned slot = 0;
  int fan = store_fan (store, &object->id, err);
  int data_fan = fan < 0 ? fan : store_fan (store, &whole->id, err);
  int entry_fan = data_fan < 0 ? data_fan : store_fan (store, &object->entry_id, err);

  if (entry_fan < 0)
    return entry_fan;
  slot_name (&object->id, object->slot, like);
  slot_name (&whole->id, whole->slot, data);
  const struct entries_request request = {
      .id = &object->entry_id,
      .flags = object->flags | IDENTITY_ENTRY,
      .like_dir = fan,
      .like = like,
      .data_dir = data_fan,
      .data = data,
      .taken = is_taken,
      .equal = is_equal,
      .fn_data = &asking,
  };
  int ret = entries_make (store, &request, &slot, &st, err);
  if (ret <= 0)
    return ret;
  slot_name (&object->entry_id, slot, made);
  /* Both were hashed. */
  int same =
      identity_same (fan, like, entry_fan, made, object->flags | IDENTITY_SAME_CONTENTS, err);
  if (same < 0)
    return same;
  if (!same)
    return err_code (err, ESTALE, "store/%02x/%s is not what it was made to be",
                     object->entry_id.bytes[0], made);
  object->entry_slot = slot;
  object->entry_ino = st.st_ino;
  note_taken (run, object->ino, st.st_ino);
  return 0;
}

static int make_all (struct entries_run *run, struct candidates *candidates, struct err *err)
{
  for (size_t i = 0; i < candidates->count; i++) {
    struct candidate_object *object = &candidates->objects[i];
    autoerr struct err own = {0};

    progress_show ("contents: files", i, candidates->count, "files");
    if (interrupt_check (err) < 0)
      return -err->code;
    if (object->whole && make_entry (run, candidates, object, &own) < 0)
      entries_fail (run->report, &own);
    if (object->entry_ino) {
      run->report->objects++;
      run->report->bytes += object->bytes;
    }
  }
  return 0;
}

/* Links the entries that the place gets into its directory of links. */
static int make_links (struct entries_run *run, struct entries_place *place,
                       const struct candidates *candidates, struct u64table *replaced,
                       struct err *err)
{
  struct store *store = run->root->store;

  for (size_t i = 0; i < candidates->count; i++) {
    const struct candidate_object *object = &candidates->objects[i];
    char name[SLOT_NAME_SIZE], link[GROUP_NAME_SIZE];
    struct stat st;

    if (!object->entry_ino || !u64set_has (&place->inodes, object->ino))
      continue;
    int fan = store_fan (store, &object->entry_id, err);
    if (fan < 0 || group_name (place->change.temp_fd, object->ino, link, err) < 0)
      return -err->code;
    slot_name (&object->entry_id, object->entry_slot, name);
    if (linkat (fan, name, place->change.temp_fd, link, 0) < 0 ||
        fstatat (place->change.temp_fd, link, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return err_errno (err, "link store/%02x/%s", object->entry_id.bytes[0], name);
    if (st.st_ino != object->entry_ino)
      return err_code (err, ESTALE, "store/%02x/%s is another file now", object->entry_id.bytes[0],
                       name);
    u64table_put (replaced, object->ino, NULL);
  }
  return 0;
}

static int convert_place (struct entries_run *run, struct entries_place *place,
                          const struct candidates *candidates, struct err *err)
{
  autou64table struct u64table replaced = {0};

  if (make_links (run, place, candidates, &replaced, err) < 0)
    return entries_give_up (place, err);
  if (!replaced.count)
    return fsck_change_end (&place->change, err);
  if (entries_replace (place, &replaced, err) < 0)
    return -err->code;
  run->report->names++;
  return 0;
}

/* The directories of links of places that nothing was done to; else they go with the next command.
 */
static void close_places (struct entries_run *run, size_t first)
{
  for (size_t i = first; i < run->place_count; i++) {
    autoerr struct err ignored = {0};

    fsck_change_end (&run->places[i].change, &ignored);
  }
}

static int convert (struct entries_run *run, struct candidates *candidates, struct err *err)
{
  /* Should we be killed, some may be unused. */
  int ret = root_want_gc (run->root, err);
  autoerr struct err sweep_err = {0};

  if (ret == 0)
    ret = make_all (run, candidates, err);

  /* Durable, before a name leads there. */
  if (ret == 0)
    ret = fd_sync_fs (run->root->fd, err);
  if (ret < 0)
    close_places (run, 0);
  for (size_t i = 0; ret == 0 && i < run->place_count; i++) {
    autoerr struct err own = {0};

    if (interrupt_check (err) < 0) {
      ret = -err->code;
      close_places (run, i);
    } else if (convert_place (run, &run->places[i], candidates, &own) < 0) {
      err_wrap (&own, "%s", run->places[i].change.place->path);
      entries_fail (run->report, &own);
    }
  }
  if (entries_sweep (run->root->store, &sweep_err) < 0 && ret == 0)
    ret = err_code (err, sweep_err.code, "%s", err_text (&sweep_err));
  return ret;
}

static bool is_selected (const struct fsck_place *place, const struct names *names)
{
  bool selected = false;

  for (size_t i = 0; i < names->count && !selected; i++)
    selected = strcmp (names->items[i], place->name) == 0;
  return selected && place->kind == FSCK_GUEST;
}

static int open_places (struct entries_run *run, const struct names *names, bool look,
                        struct err *err)
{
  for (size_t i = 0; i < run->fsck.place_count; i++) {
    int opened = !is_selected (&run->fsck.places[i], names) ? 0
                 : look                                     ? entries_look_place (run, i, err)
                                                            : entries_open_place (run, i, err);

    if (opened < 0)
      return opened;
    struct entries_place *place = &run->places[run->place_count - (opened > 0)];
    if (opened && policy_load (place->change.fd, &place->policy, err) < 0)
      return err_wrap (err, "%s", place->change.place->path);
  }
  return 0;
}

/* Who waits for the root is not kept waiting while files are read: first all is looked at under the
 * shared lock. */
static int look (struct vroot *root, const struct names *names, struct entries_report *report,
                 struct candidates *ret_candidates, struct err *err)
{
  struct entries_run run = {.root = root, .report = report};
  int ret = entries_look_start (&run, err);

  if (ret == 0)
    ret = open_places (&run, names, /* look= */ true, err);
  if (ret == 0)
    ret = candidates_find (&run, /* known= */ NULL, ret_candidates, err);
  progress_clear ();
  entries_run_end (&run);
  return ret;
}

static void count_wanted (const struct candidates *candidates, struct entries_report *report)
{
  for (size_t i = 0; i < candidates->count; i++) {
    report->objects += candidates->objects[i].whole != 0;
    report->bytes += candidates->objects[i].whole ? candidates->objects[i].bytes : 0;
  }
}

/* Then it is looked at again, and what was hashed and is still there becomes entries. */
static int share (struct entries_run *run, const struct names *names,
                  const struct candidates *known, struct err *err)
{
  autocandidates struct candidates candidates = {0};

  if (entries_run_start (run, err) < 0)
    return -err->code;
  int ret = open_places (run, names, /* look= */ false, err);
  if (ret == 0)
    ret = candidates_find (run, known, &candidates, err);
  progress_clear ();
  if (ret < 0) {
    close_places (run, 0);
    return ret;
  }
  return convert (run, &candidates, err);
}

int entries_share (struct vroot *root, const struct names *names, bool dry_run,
                   struct entries_report *report, struct err *err)
{
  struct entries_run run = {.root = root, .report = report};
  autoentriesreport struct entries_report looked = {0};
  autocandidates struct candidates known = {0};
  bool any = false;

  /* Whoever asks for it is told at once. */
  if (overlay_probe_data (root->staging_fd, err) < 0)
    return err_wrap (err, "files cannot share contents alone here (that takes Linux 6.5 or later)");
  if (look (root, names, &looked, &known, err) < 0)
    return -err->code;
  for (size_t i = 0; i < known.count; i++)
    any |= known.objects[i].whole != 0;
  report->read = looked.read;
  report->failed = looked.failed;
  report->skipped = looked.skipped;
  report->first_error = steal_ptr (&looked.first_error);
  if (dry_run || !any) {
    count_wanted (&known, report);
    return 0;
  }
  /* Those that are in use then are counted. */
  report->skipped = 0;
  int ret = share (&run, names, &known, err);
  entries_run_end (&run);
  return ret;
}
