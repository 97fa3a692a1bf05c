/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The repair itself: damaged objects go to quarantine, and names that are on them get good ones.
 *
 * All names of a place, in its tree and its undo layers, that are on one damaged inode are
 * hard-link partners, and go to one good inode together, also when we are killed in between: the
 * way of unify is taken for that (unify/groups.h), with the guest's txn/temp, or repair/ of a
 * generation. */
#include "change.h"
#include "internal.h"
#include "store/quarantine.h"
#include "store/store_internal.h"
#include "unify/dirtimes.h"
#include "unify/groups.h"
#include "unify/unify.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/inodes.h"
#include "util/interrupt.h"
#include "util/progress.h"

static void correct (struct fsck *fsck, enum fsck_class class, const char *name)
{
  autofree char *where = xasprintf ("store/%s", name);

  for (size_t i = 0; i < fsck->finding_count; i++)
    if (fsck->findings[i].class == class && strcmp (fsck->findings[i].where, where) == 0)
      fsck->findings[i].corrected = true;
}

/* Opens the directory of a name below store/, "ab/name". */
static int open_parent (struct fsck *fsck, const char *name, const char **ret_base, struct err *err)
{
  const char *slash = strrchr (name, '/');
  autofree char *dir = xstrndup (name, slash ? (size_t) (slash - name) : 0);
  int fd = fd_open_dir_beneath (fsck->root->store->fd, dir);

  *ret_base = slash ? slash + 1 : name;
  return fd < 0 ? err_errno (err, "open store/%s", dir) : fd;
}

static int clear_store (struct fsck *fsck, struct err *err)
{
  struct store *store = fsck->root->store;
  autodirlist struct dirlist top = {0};

  for (size_t i = 0; i < fsck->verify.alien_count; i++) {
    const char *name = fsck->verify.aliens[i], *base;
    autofree char *moved = NULL;
    autoclose int fd = open_parent (fsck, name, &base, err);

    if (fd < 0 || quarantine_alien (store, fd, base, &moved, err) < 0)
      return -err->code;
    correct (fsck, FSCK_ALIEN, name);
  }
  for (size_t i = 0; i < fsck->verify.double_count; i++) {
    const char *name = fsck->verify.doubles[i], *base;
    autoclose int fd = open_parent (fsck, name, &base, err);

    if (fd < 0)
      return fd;
    if (unlinkat (fd, base, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove store/%s", name);
    correct (fsck, FSCK_DOUBLE, name);
  }
  /* Nobody else writes there now. */
  if (dirread_all (store->fd, &top, err) < 0)
    return err_wrap (err, "store");
  for (size_t i = 0; i < top.count; i++)
    if (strncmp (top.items[i].name, ".vg-", 4) == 0 &&
        fd_remove_tree (store->fd, top.items[i].name, err) < 0)
      return err_wrap (err, "store");
  return 0;
}

static int quarantine_all (struct fsck *fsck, struct err *err)
{
  struct store *store = fsck->root->store;

  for (size_t i = 0; i < fsck->object_count; i++) {
    struct damage *damage = &fsck->objects[i].damage;

    if (fsck->objects[i].earlier)
      continue;
    /* Much may have happened while we waited for the lock. */
    int damaged = store_verify_again (store, damage, err);
    if (damaged > 0)
      damaged = quarantine_object (store, &damage->id, damage->slot, damage->ino,
                                   &damage->quarantined, err);
    if (damaged < 0)
      return damaged;
    fsck->objects[i].cured = !damaged;
  }
  return 0;
}

/* What became of the damaged inodes of one place. */
struct mended {
  struct u64table inodes; /* owned: damaged inode -> the good one in its place, 0 while it waits */
};

/* A place that is being mended. */
struct mending {
  struct fsck *fsck;
  struct mended *mended; /* borrowed; one for each place */
  size_t place;
  struct fsck_change change; /* owned: of the place */
  struct u64set inodes;      /* owned: that are in use there */
};

static void mending_release (struct mending *mending)
{
  fsck_change_close (&mending->change);
  u64set_release (&mending->inodes);
}
#define automending __attribute__ ((cleanup (mending_release)))

/* Does the use, of an object that there is a good one of, belong to the place? */
static bool is_to_mend (const struct mending *mending, const struct fsck_object *object,
                        const struct fsck_use *use)
{
  return object->source && use->place == mending->place && !use->repaired;
}

static bool is_used (const struct mending *mending, const struct fsck_object *object)
{
  for (size_t i = 0; i < object->noted_uses; i++)
    if (is_to_mend (mending, object, &object->uses[i]))
      return true;
  return false;
}

static int note_dir (void *data, const char *layer, int fd, struct err *err)
{
  struct mending *mending = data;

  return inodes_note (fd, &mending->inodes, err) < 0 ? err_wrap (err, "%s", layer) : 0;
}

/* What the base of a thin guest uses, the guest uses. */
static int note_base (struct mending *mending, struct err *err)
{
  struct fsck *fsck = mending->fsck;
  const struct fsck_place *base = &fsck->places[fsck->places[mending->place].base];
  autoclose int fd = fsck_open_place (fsck, base, err);

  if (fd < 0)
    return fd;
  return fsck_each_layer (fd, base->kind, note_dir, mending, err);
}

/* The times of the directories of the tree that will change. */
static int note_times (struct mending *mending, struct err *err)
{
  struct fsck *fsck = mending->fsck;
  autodirtimes struct dirtimes times;
  autofree char *last = NULL;
  int ret = 0;

  dirtimes_start (&times);
  for (size_t i = 0; i < fsck->object_count && ret == 0; i++)
    for (size_t k = 0; k < fsck->objects[i].noted_uses && ret == 0; k++) {
      const struct fsck_use *use = &fsck->objects[i].uses[k];
      const char *slash = strrchr (use->path, '/');

      if (!is_to_mend (mending, &fsck->objects[i], use) || strcmp (use->layer, "tree") != 0)
        continue;
      autofree char *dir = xstrndup (use->path, slash ? (size_t) (slash - use->path) : 0);
      /* A directory may be noted several times: nothing has changed in between. */
      if (last && strcmp (last, dir) == 0)
        continue;
      autoclose int fd = fd_open_dir_beneath (mending->change.tree_fd, dir);
      ret = fd < 0 ? err_errno (err, "open tree/%s", dir) : dirtimes_note (&times, fd, dir, err);
      free (last);
      last = steal_ptr (&dir);
    }
  return ret < 0 ? ret : dirtimes_write (&times, mending->change.temp_fd, err);
}

/* Chooses a good inode for one damaged one. */
static int make_link (struct mending *mending, struct good *good, struct fsck_object *object,
                      struct err *err)
{
  const struct fsck_place *place = &mending->fsck->places[mending->place];
  uint64_t damaged = object->damage.ino, wanted = 0, ino = 0;
  char link[GROUP_NAME_SIZE];

  /* Names of a thin guest that have partners in its base go where those went. */
  const uint64_t *there =
      place->thin ? u64table_get (&mending->mended[place->base].inodes, damaged) : NULL;
  if (there)
    wanted = *there;
  if (group_name (mending->change.temp_fd, damaged, link, err) < 0)
    return -err->code;
  if (unlinkat (mending->change.temp_fd, link, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", link);
  int linked = there && !wanted ? 0
                                : good_link (good, object, &mending->inodes, wanted,
                                             mending->change.temp_fd, link, &ino, err);
  if (linked < 0)
    return linked;
  if (linked)
    *u64table_put (&mending->mended[mending->place].inodes, damaged, NULL) = ino;
  else if (!there)
    object->source = NULL; /* it went away */
  return 0;
}

/* The same for all of the place. */
static int make_links (struct mending *mending, struct good *good, struct err *err)
{
  struct fsck *fsck = mending->fsck;

  for (size_t i = 0; i < fsck->object_count; i++) {
    struct fsck_object *object = &fsck->objects[i];

    if (is_used (mending, object) &&
        (interrupt_check (err) < 0 || make_link (mending, good, object, err) < 0))
      return -err->code;
  }
  return 0;
}

/* Notes of all uses of the place what became of them: they have a good one, or wait for it. */
static void mark (struct mending *mending)
{
  struct fsck *fsck = mending->fsck;
  struct u64table *inodes = &mending->mended[mending->place].inodes;

  for (size_t i = 0; i < fsck->object_count; i++)
    for (size_t k = 0; k < fsck->objects[i].noted_uses; k++) {
      struct fsck_use *use = &fsck->objects[i].uses[k];

      if (!is_to_mend (mending, &fsck->objects[i], use))
        continue;
      const uint64_t *ino = u64table_put (inodes, fsck->objects[i].damage.ino, NULL);
      use->repaired = *ino != 0;
      use->waits = !*ino;
    }
}

static int mend_uses (struct mending *mending, struct good *good, struct err *err)
{
  const struct fsck_place *place = &mending->fsck->places[mending->place];

  if (fsck_each_layer (mending->change.fd, place->kind, note_dir, mending, err) < 0 ||
      (place->thin && note_base (mending, err) < 0) || make_links (mending, good, err) < 0 ||
      note_times (mending, err) < 0 ||
      /* The copies, before anything leads to them. */
      fd_sync_fs (mending->change.fd, err) < 0 || fsck_change_replace (&mending->change, err) < 0 ||
      fsck_change_end (&mending->change, err) < 0)
    return -err->code;
  mark (mending);
  return 0;
}

static int mend_place (struct fsck *fsck, struct good *good, struct mended *mended, size_t index,
                       struct err *err)
{
  automending struct mending mending = {
      .fsck = fsck, .mended = mended, .place = index, .change = FSCK_CHANGE_NONE};
  bool used = false;

  for (size_t i = 0; i < fsck->object_count && !used; i++)
    used = is_used (&mending, &fsck->objects[i]);
  if (!used)
    return 0;
  int opened = fsck_change_open (fsck, index, &mending.change, err);
  if (opened == 0)
    mark (&mending);
  if (opened > 0)
    opened = mend_uses (&mending, good, err);
  return opened < 0 ? opened : 0;
}

/* Files of templates that are no objects become some: nothing else would do that. */
static int share_template (struct fsck *fsck, struct fsck_place *place, struct err *err)
{
  autounifyreport struct unify_report report = {0};
  autoclose int fd = fsck_open_place (fsck, place, err);
  autoclose int tree_fd = fd < 0 ? -1 : fd_open_dir (fd, "tree");
  autoclose int temp_fd = -1;
  const struct policy exact = {0};

  if (fd < 0)
    return fd;
  if (tree_fd < 0 || (temp_fd = fd_make_dir (fd, "repair", 0700)) < 0)
    return err_errno (err, "open %s", place->path);
  if (unify_tree (fsck->root->store, &exact, tree_fd, /* base_fd= */ -1, temp_fd,
                  /* dry_run= */ false, &report, err) < 0 ||
      fd_remove_tree (fd, "repair", err) < 0)
    return err_wrap (err, "share its files");
  if (report.failed)
    fsck_add (fsck, FSCK_UNREADABLE, true, place->path, "%s", report.first_error);
  else
    place->unshared = place->unshared_bytes = 0;
  return 0;
}

/* What fails in one place stays there, but for signals. */
static int mend_all (struct fsck *fsck, struct good *good, struct mended *mended, struct err *err)
{
  for (size_t i = 0; i < fsck->place_count; i++) {
    struct fsck_place *place = &fsck->places[i];
    autoerr struct err place_err = {0};
    bool share = place->kind == FSCK_TEMPLATE && place->unshared && !fsck_base_in_use (fsck, i);

    progress_show ("repair", i, fsck->place_count, "trees");
    if (interrupt_check (err) < 0)
      return -err->code;
    if (mend_place (fsck, good, mended, i, &place_err) == 0 &&
        (!share || share_template (fsck, place, &place_err) == 0))
      continue;
    if (place_err.code == ERR_INTERRUPTED) {
      *err = place_err;
      place_err = (struct err){0};
      return -err->code;
    }
    fsck_add (fsck, FSCK_UNREADABLE, true, place->path, "repair it: %s", err_text (&place_err));
  }
  return 0;
}

int fsck_mend (struct fsck *fsck, struct err *err)
{
  struct good good = {.fsck = fsck, .staging = {.fd = -1}};
  /* Templates come before guests, whose bases they are. */
  struct mended *mended = xcalloc (fsck->place_count, sizeof *mended);
  int ret = clear_store (fsck, err);

  if (ret == 0)
    ret = quarantine_all (fsck, err);
  if (ret == 0)
    ret = staging_make (fsck->root, "fsck", &good.staging, err);
  if (ret == 0)
    ret = good_find (&good, err);
  if (ret == 0)
    ret = mend_all (fsck, &good, mended, err);
  progress_clear ();
  staging_drop (&good.staging);
  for (size_t i = 0; i < fsck->place_count; i++)
    u64table_release (&mended[i].inodes);
  free (mended);
  return ret == 0 ? fd_sync_fs (fsck->root->fd, err) : ret;
}
