/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unit of work is one directory: its files are placed, its subdirectories made empty, and then
 * it gets its metadata, as nothing that happens further down changes its times any more. So
 * directories are independent of one another and several threads can work: linkat spends its time
 * waiting for locks in the file system's journal, two threads take half the time of one. With
 * several targets, what was read of the source is placed in one after the other, while its inodes
 * and directory entries are in the processor's caches. */
#include "clone_internal.h"
#include "layer.h"
#include "util/dirwalk.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include "util/xattr.h"

/* A directory's own metadata, read once for all targets. */
struct metadata {
  struct stat st;
  struct xattrs xattrs; /* owned */
};

/* Entries of one directory whose names are in memory. */
struct batch {
  struct dirread dirread;      /* owned */
  struct dirread_entry *items; /* owned */
  size_t size;
  size_t count;
};

static void batch_release (struct batch *batch)
{
  dirread_release (&batch->dirread);
  cleanup_free (&batch->items);
}
#define autobatch __attribute__ ((cleanup (batch_release)))

static int read_metadata (int fd, struct metadata *metadata, struct err *err)
{
  if (fstat (fd, &metadata->st) < 0)
    return err_errno (err, "stat a directory");
  return xattrs_read (fd, -1, NULL, /* with_overlay= */ false, &metadata->xattrs, err);
}

static int set_metadata (int fd, const struct metadata *metadata, struct err *err)
{
  const struct stat *st = &metadata->st;
  struct timespec times[2] = {st->st_atim, st->st_mtim};
  struct stat now;

  /* Most directories were made as they are to be: two entries less in the journal for each. */
  if (fstat (fd, &now) < 0)
    return err_errno (err, "stat a new directory");
  bool owner = now.st_uid != st->st_uid || now.st_gid != st->st_gid;
  bool mode = owner || metadata->xattrs.count || (now.st_mode & 07777) != (st->st_mode & 07777);
  if (owner && fchown (fd, st->st_uid, st->st_gid) < 0)
    return err_errno (err, "set the owner of a directory");
  if (xattrs_apply (fd, -1, NULL, &metadata->xattrs, err) < 0)
    return -err->code;
  if (mode && fchmod (fd, st->st_mode & 07777) < 0)
    return err_errno (err, "set the mode of a directory");
  if (futimens (fd, times) < 0)
    return err_errno (err, "set the times of a directory");
  return 0;
}

int clone_directory_metadata (int from_fd, int to_fd, struct err *err)
{
  struct metadata metadata = {0};
  int ret = read_metadata (from_fd, &metadata, err);

  if (ret == 0)
    ret = set_metadata (to_fd, &metadata, err);
  xattrs_release (&metadata.xattrs);
  return ret;
}

int clone_refuse_forms (int from_dir, const char *name, struct err *err)
{
  static const char *const forms[] = {"opaque", "redirect", "metacopy", "whiteout"};
  autoxattrs struct xattrs xattrs = {0};

  if (xattrs_read (-1, from_dir, name, /* with_overlay= */ true, &xattrs, err) < 0)
    return -err->code;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    autofree char *form = xasprintf (XATTR_OVERLAY "%s", forms[i]);

    if (xattrs_find (&xattrs, form))
      return err_code (err, EBUSY, "%s has the attribute %s: the private layer was not folded",
                       name, form);
  }
  return 0;
}

bool cloner_failed (struct cloner *cloner, const struct clone_place *place)
{
  pthread_mutex_lock (&cloner->mutex);
  bool failed = place->target->err.code;
  pthread_mutex_unlock (&cloner->mutex);
  return failed;
}

void cloner_fail (struct cloner *cloner, struct clone_place *place, struct err *err)
{
  pthread_mutex_lock (&cloner->mutex);
  if (!place->target->err.code) {
    place->target->err = *err;
    *err = (struct err){0};
  }
  pthread_mutex_unlock (&cloner->mutex);
  err_release (err);
}

/* Takes an entry into the batch, or leaves it out. */
static int take (struct cloner *cloner, struct dirwalk_turn *turn, struct batch *batch,
                 const struct dirread_entry *entry, struct clone_counts *counts, struct err *err)
{
  autorulesstate struct rules_state state = {0};

  if (cloner->rules)
    rules_enter (cloner->rules, turn->state, entry->name, &state);
  if (entry->type == DT_SOCK || state.verdict & CLONE_SKIP) {
    counts->skipped++;
    return 0;
  }
  if (entry->type != DT_DIR)
    counts->files++;
  else if (cloner->layer && clone_refuse_forms (turn->fd, entry->name, err) < 0)
    return -err->code;
  else
    dirwalk_enter (turn, entry->name, cloner->rules ? &state : NULL);
  if (batch->count == batch->size) {
    batch->size = batch->size ? batch->size * 2 : 64;
    batch->items = xreallocarray (batch->items, batch->size, sizeof *batch->items);
  }
  batch->items[batch->count++] = *entry;
  return 0;
}

/* The next entries, as many as one read of the directory gives. Returns 1, 0 at the end. */
static int read_batch (struct cloner *cloner, struct dirwalk_turn *turn, struct batch *batch,
                       struct clone_counts *counts, struct err *err)
{
  struct dirread_entry entry;

  batch->count = 0;
  do {
    int ret = dirread_next (&batch->dirread, &entry, err);

    if (ret <= 0)
      return ret;
    if (take (cloner, turn, batch, &entry, counts, err) < 0)
      return -err->code;
  } while (dirread_buffered (&batch->dirread));
  return 1;
}

static int place_batch (struct cloner *cloner, struct clone_place *place, int from_dir,
                        const struct batch *batch, int to_dir, struct err *err)
{
  for (size_t i = 0; i < batch->count; i++) {
    const struct dirread_entry *entry = &batch->items[i];

    if (entry->type != DT_DIR) {
      if (cloner->place (cloner, place, from_dir, entry, to_dir, err) < 0)
        return -err->code;
    } else if (mkdirat (to_dir, entry->name, 0755) < 0) { /* most are; staging is 0700 */
      return err_errno (err, "make the directory %s", entry->name);
    }
  }
  return 0;
}

/* The directory of one target is done, or has failed. */
static void leave (int *to_fd)
{
  cleanup_close (to_fd);
  *to_fd = -1;
}

/* Each target's directory, made before; -1 where the target has failed. */
static void open_all (struct cloner *cloner, const char *path, int *to_fds)
{
  for (size_t i = 0; i < cloner->count; i++) {
    struct clone_place *place = &cloner->places[i];
    struct err err = {0};

    to_fds[i] = -1;
    if (cloner_failed (cloner, place))
      continue;
    to_fds[i] = fd_open_dir_beneath (place->target->to_fd, path);
    if (to_fds[i] < 0) {
      err_errno (&err, "open the new directory /%s", path);
      cloner_fail (cloner, place, &err);
    }
  }
}

static int fill_all (struct cloner *cloner, struct dirwalk_turn *turn, struct batch *batch,
                     int *to_fds, struct clone_counts *counts, struct err *err)
{
  int ret;

  dirread_start (turn->fd, &batch->dirread);
  while ((ret = read_batch (cloner, turn, batch, counts, err)) > 0) {
    for (size_t i = 0; i < cloner->count; i++) {
      struct err place_err = {0};

      if (to_fds[i] < 0 ||
          place_batch (cloner, &cloner->places[i], turn->fd, batch, to_fds[i], &place_err) == 0)
        continue;
      err_wrap (&place_err, "/%s", turn->path);
      cloner_fail (cloner, &cloner->places[i], &place_err);
      leave (&to_fds[i]);
    }
  }
  return ret;
}

static int copy_flags (const struct cloner *cloner, int from_fd, int to_fd, struct err *err)
{
  return cloner->flags ? layer_copy_protattr (from_fd, -1, NULL, to_fd, -1, NULL, err) : 0;
}

static int finish_all (struct cloner *cloner, struct dirwalk_turn *turn, const int *to_fds,
                       struct err *err)
{
  struct metadata metadata = {0};
  int ret = read_metadata (turn->fd, &metadata, err);

  for (size_t i = 0; ret == 0 && i < cloner->count; i++) {
    struct err place_err = {0};

    if (to_fds[i] < 0 || (set_metadata (to_fds[i], &metadata, &place_err) == 0 &&
                          copy_flags (cloner, turn->fd, to_fds[i], &place_err) == 0))
      continue;
    err_wrap (&place_err, "/%s", turn->path);
    cloner_fail (cloner, &cloner->places[i], &place_err);
  }
  xattrs_release (&metadata.xattrs);
  return ret;
}

static int keep_opaque (struct cloner *cloner, struct dirwalk_turn *turn, const int *to_fds,
                        struct err *err)
{
  int opaque = layer_is_opaque (turn->fd, err);

  for (size_t i = 0; opaque > 0 && i < cloner->count; i++) {
    struct err place_err = {0};

    if (to_fds[i] >= 0 && layer_set_opaque (to_fds[i], &place_err) < 0)
      cloner_fail (cloner, &cloner->places[i], &place_err);
  }
  return opaque;
}

static int visit (void *data, struct dirwalk_turn *turn, struct err *err)
{
  struct cloner *cloner = data;
  autofree int *to_fds = xcalloc (cloner->count, sizeof *to_fds);
  autobatch struct batch batch = {0};
  struct clone_counts counts = {.directories = 1};

  if (interrupt_check (err) < 0)
    return -err->code;
  open_all (cloner, turn->path, to_fds);
  int ret = fill_all (cloner, turn, &batch, to_fds, &counts, err);
  if (ret == 0 && cloner->thin && keep_opaque (cloner, turn, to_fds, err) < 0)
    ret = -err->code;
  /* The top directory comes last, as temporary things may be made in it until then. */
  if (ret == 0 && *turn->path)
    ret = finish_all (cloner, turn, to_fds, err);
  for (size_t i = 0; i < cloner->count; i++)
    leave (&to_fds[i]);
  if (ret < 0)
    return err_wrap (err, "/%s", turn->path);
  pthread_mutex_lock (&cloner->mutex);
  cloner->counts.files += counts.files;
  cloner->counts.directories += counts.directories;
  cloner->counts.skipped += counts.skipped;
  counts = cloner->counts;
  pthread_mutex_unlock (&cloner->mutex);
  if (turn->thread == 0 && !cloner->layer)
    progress_show ("clone: files linked", counts.files * cloner->count, 0, "files");
  return 0;
}

void cloner_start (struct cloner *cloner, int from_fd, const struct rules *rules,
                   struct clone_target *targets, size_t count)
{
  *cloner = (struct cloner){
      .rules = rules && rules->count ? rules : NULL,
      .from_fd = from_fd,
      .beside_fd = -1,
      .places = xcalloc (count, sizeof *cloner->places),
      .count = count,
  };
  for (size_t i = 0; i < count; i++)
    cloner->places[i] = (struct clone_place){.target = &targets[i], .partners_fd = -1};
  pthread_mutex_init (&cloner->mutex, NULL);
  pthread_mutex_init (&cloner->full_mutex, NULL);
}

void cloner_release (struct cloner *cloner)
{
  pthread_mutex_destroy (&cloner->mutex);
  pthread_mutex_destroy (&cloner->full_mutex);
  for (size_t i = 0; i < cloner->count; i++) {
    u64table_release (&cloner->places[i].full);
    cleanup_close (&cloner->places[i].partners_fd);
  }
  cleanup_free (&cloner->places);
}

int cloner_run (struct cloner *cloner, size_t threads, struct err *err)
{
  autorulesstate struct rules_state state = {0};
  struct dirwalk walk = {
      .top_fd = cloner->from_fd,
      .flags = O_NOATIME,
      .rules = cloner->rules,
      .state = &state,
      .threads = threads,
      .visit = visit,
      .data = cloner,
  };

  if (cloner->rules)
    rules_start (cloner->rules, 0, &state);
  if (dirwalk_run (&walk, err) < 0)
    return -err->code;
  for (size_t i = 0; i < cloner->count; i++) {
    struct clone_target *target = cloner->places[i].target;
    uint64_t copied = target->counts.copied;

    if (target->err.code)
      continue;
    target->counts = cloner->counts;
    target->counts.copied = copied;
    if (clone_directory_metadata (cloner->from_fd, target->to_fd, &target->err) < 0 ||
        copy_flags (cloner, cloner->from_fd, target->to_fd, &target->err) < 0)
      continue;
  }
  return 0;
}
