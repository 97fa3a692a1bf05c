/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undo layers and rollbacks, checked against what was seen before and against the kernel. */
#include "undo.h"
#include "guest/rollback.h"
#include "guest/transaction.h"
#include "util/fd.h"
#include <inttypes.h>

struct vroot undo_root (const struct world *world)
{
  return (struct vroot){
      .path = world->path, .fd = world->fd, .store = world->store, .staging_fd = world->staging};
}

struct guest undo_guest (const struct world *world, int guest)
{
  static const char *const names[] = {"g0", "g1", "g2"};

  return (struct guest){.name = (char *) names[guest], .fd = world->guests[guest], .lock_fd = -1};
}

static const char *failed (const char *what, struct err *err)
{
  printf ("# %s: %s\n", what, err_text (err));
  return what;
}

/* The newest undo layer over the guest's layers, as the kernel sees it. @ret_id is 0 when there is
 * none. */
static int layered_view (struct world *world, int guest, struct manifest *ret_view,
                         uint64_t *ret_id, struct err *err)
{
  struct guest who = undo_guest (world, guest);
  autohistory struct history history = {0};
  const struct history_entry *entry = NULL;

  *ret_id = 0;
  if (history_read (&who, &history, err) < 0)
    return -err->code;
  for (size_t i = history.count; i-- > 0 && !entry;)
    if (history.items[i].has_undo)
      entry = &history.items[i];
  if (!entry)
    return 0;
  autoclose int entry_fd = history_open (&who, entry->id, err);
  autoclose int undo_fd = entry_fd < 0 ? -1 : fd_open_dir_beneath (entry_fd, "undo/layer");
  if (undo_fd < 0)
    return err->code ? -err->code : err_errno (err, "open the undo layer of g%d", guest);
  *ret_id = entry->id;
  return layers_guest_view (world->guests[guest], undo_fd, ret_view, err);
}

/* The number of differences; not in partners, and where @files not in directories' metadata. */
static size_t differences (struct world *world, const struct manifest *want,
                           const struct manifest *now, bool files, const char *what)
{
  size_t count = 0;

  for (int turn = 0; turn < 2; turn++) {
    const struct manifest *a = turn ? now : want, *b = turn ? want : now;

    for (size_t i = 0; i < a->count; i++) {
      const struct manifest_entry *x = &a->items[i], *y = manifest_find (b, x->path);
      bool same = y && (x->st.st_mode & S_IFMT) == (y->st.st_mode & S_IFMT);

      if (same && !(files && S_ISDIR (x->st.st_mode)))
        same = strcmp (x->text, y->text) == 0 && (world_any_mtime (world, x->path) ||
                                                  (x->st.st_mtim.tv_sec == y->st.st_mtim.tv_sec &&
                                                   x->st.st_mtim.tv_nsec == y->st.st_mtim.tv_nsec));
      if (same)
        continue;
      autofree char *path = printable (x->path, strlen (x->path));
      if (count++ < 20)
        printf ("# %s: %s: %s %s\n#   and %s\n", what, path, turn ? "is" : "should be", x->text,
                y ? y->text : "nothing");
    }
  }
  return count;
}

static const char *check_all (struct world *world, int guest)
{
  if (world_check_layers (world, guest, true) || world_check_root (world))
    return "the layers are not as they should be after a rollback";
  return NULL;
}

int undo_newest (struct world *world, int guest, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  struct vroot root = undo_root (world);
  struct guest who = undo_guest (world, guest);
  autorollback struct rollback rollback = {0};
  uint64_t id = 0;

  if (rollback_plan (&root, &who, 0, &rollback, err) < 0 ||
      rollback_undo (&root, &who, &rollback, 0, &report, &id, err) < 0)
    return -err->code;
  return report.failed ? err_code (err, EIO, "unify: %s", report.first_error) : 0;
}

static const char *back_to (struct world *world, int guest, const struct manifest *want,
                            const char *what, struct err *err)
{
  automanifest struct manifest now = {0};

  if (undo_newest (world, guest, err) < 0)
    return failed (what, err);
  if (world_view (world, guest, true, &now, err) < 0)
    return failed ("view", err);
  manifest_filter (&now, world_drops, world);
  if (manifest_compare (want, &now, what, world_any_mtime, world, stdout))
    return "a rollback did not bring back what was there";
  return check_all (world, guest);
}

const char *undo_check (struct rng *rng, struct world *world, int guest,
                        const struct manifest *before, const struct manifest *after,
                        struct err *err)
{
  automanifest struct manifest view = {0};
  const char *bad = NULL;
  uint64_t id = 0;

  if (layered_view (world, guest, &view, &id, err) < 0)
    return failed ("view with the undo layer", err);
  if (!id)
    return "a commit left no undo layer";
  manifest_filter (&view, world_drops, world);
  if (differences (world, before, &view, /* files= */ false, "with the undo layer"))
    return "an undo layer does not show what was there before";
  if (!rng_chance (rng, 60))
    return NULL;
  bad = back_to (world, guest, before, "rollback", err);
  /* One that changed nothing cannot be undone. */
  if (!bad && rng_chance (rng, 50) &&
      manifest_compare (before, after, "", world_any_mtime, world, NULL))
    bad = back_to (world, guest, after, "rollback of the rollback", err);
  return bad;
}

const char *undo_late (struct world *world, int guest, struct err *err)
{
  automanifest struct manifest want = {0}, now = {0};
  uint64_t id = 0;

  /* The kernel shows whiteouts where only the topmost layer has the directory. */
  if (layered_view (world, guest, &want, &id, err) < 0 && err->code != ENOENT)
    return failed ("view with the undo layer", err);
  err_release (err);
  if (!id)
    return NULL;
  if (undo_newest (world, guest, err) < 0)
    return failed ("a late rollback", err);
  if (!want.count)
    return check_all (world, guest);
  if (world_view (world, guest, true, &now, err) < 0)
    return failed ("view", err);
  manifest_filter (&want, world_drops, world);
  manifest_filter (&now, world_drops, world);
  if (differences (world, &want, &now, /* files= */ true, "late rollback"))
    return "a late rollback did something else than its layer says";
  return check_all (world, guest);
}
