/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One walk over all trees: by the inode numbers that getdents64 gives, no stat per file. */
#include "internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/parallel.h"
#include "util/progress.h"
#include <pthread.h>

struct pass {
  struct fsck *fsck;
  struct u64table wanted; /* owned: inode of a damaged object -> its index + 1 */
  pthread_mutex_t mutex;  /* of what uses say */
  size_t done;            /* places */
};

/* One layer of one place. */
struct walk {
  struct pass *pass;
  size_t place;
  const char *layer;
  bool tree;
  struct strbuf path; /* owned: of the directory */
};

static void add_use (struct walk *walk, size_t index, const char *name)
{
  struct fsck *fsck = walk->pass->fsck;
  struct fsck_object *object = &fsck->objects[index];

  pthread_mutex_lock (&walk->pass->mutex);
  object->use_count++;
  fsck->places[walk->place].uses++;
  if (!fsck->widespread) {
    size_t count = object->noted_uses++;

    if ((count & (count - 1)) == 0)
      object->uses = xreallocarray (object->uses, count ? count * 2 : 1, sizeof *object->uses);
    object->uses[count] = (struct fsck_use){
        .place = walk->place,
        .layer = xstrdup (walk->layer),
        .path =
            walk->path.len ? xasprintf ("%s/%s", strbuf_str (&walk->path), name) : xstrdup (name),
    };
  }
  pthread_mutex_unlock (&walk->pass->mutex);
}

/* "guests/web1/tree/usr": the caller's. */
static char *where (const struct walk *walk, const char *name)
{
  return xasprintf ("%s/%s%s%s%s%s", walk->pass->fsck->places[walk->place].path, walk->layer,
                    walk->path.len ? "/" : "", strbuf_str (&walk->path), *name ? "/" : "", name);
}

/* A file of any layer that is not in the store. */
static int note_entry (struct walk *walk, int dir_fd, const char *name, const struct stat *st,
                       struct err *err)
{
  if (!S_ISREG (st->st_mode) || !metaentry_may_be (st))
    return 0;
  autofree char *full = where (walk, name);
  pthread_mutex_lock (&walk->pass->mutex);
  int ret = fsck_note_entry (walk->pass->fsck, full, dir_fd, name, st, err);
  pthread_mutex_unlock (&walk->pass->mutex);
  return ret;
}

/* The same in an undo layer. */
static int visit_undone (struct walk *walk, int dir_fd, const struct dirread_entry *entry,
                         struct err *err)
{
  const struct fsck *fsck = walk->pass->fsck;
  struct stat st;

  if (!fsck->entries.count || entry->type != DT_REG ||
      u64set_has (&fsck->root->store->inodes, entry->ino))
    return 0;
  if (fstatat (dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", entry->name);
  return note_entry (walk, dir_fd, entry->name, &st, err);
}

/* The same in a tree. */
static int visit_news (struct walk *walk, int dir_fd, const char *name, struct err *err)
{
  struct fsck_place *place = &walk->pass->fsck->places[walk->place];
  struct stat st;

  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", name);
  if (identity_can_share (&st)) {
    place->unshared++;
    place->unshared_bytes += (uint64_t) st.st_blocks * 512;
  }
  if (note_entry (walk, dir_fd, name, &st, err) < 0)
    return -err->code;
  autofree char *full = where (walk, name);
  return fsck_check_tree_file (walk->pass->fsck, full, dir_fd, name, &st, place->thin, err);
}

static int visit_file (struct walk *walk, int dir_fd, const struct dirread_entry *entry,
                       struct err *err)
{
  struct fsck *fsck = walk->pass->fsck;
  const uint64_t *wanted = u64table_get (&walk->pass->wanted, entry->ino);

  if (wanted)
    add_use (walk, *wanted - 1, entry->name);
  if (!walk->tree)
    return visit_undone (walk, dir_fd, entry, err);
  fsck->places[walk->place].names++;
  if (wanted || u64set_has (&fsck->root->store->inodes, entry->ino))
    return 0;
  return visit_news (walk, dir_fd, entry->name, err);
}

static int walk_dir (struct walk *walk, int fd, struct err *err)
{
  autodirread struct dirread dirread = {0};
  struct dirread_entry entry;
  int ret;

  if (interrupt_check (err) < 0)
    return -err->code;
  if (walk->tree) {
    const struct fsck_place *place = &walk->pass->fsck->places[walk->place];
    autofree char *full = where (walk, "");
    /* The top of a tree that is just being made a whole one has the mark as well. */
    bool may_hide = place->thin || (place->kind != FSCK_TEMPLATE && !walk->path.len);

    if (fsck_check_tree_directory (walk->pass->fsck, full, fd, may_hide, err) < 0)
      return -err->code;
  }
  dirread_start (fd, &dirread);
  while ((ret = dirread_next (&dirread, &entry, err)) > 0) {
    if (entry.type != DT_DIR) {
      if (visit_file (walk, fd, &entry, err) < 0)
        return -err->code;
      continue;
    }
    autoclose int child = fd_open (fd, entry.name, O_RDONLY | O_DIRECTORY | O_NOATIME, 0);
    if (child < 0 && errno == ENOENT)
      continue;
    if (child < 0)
      return err_errno (err, "open the directory %s", entry.name);
    size_t before = strbuf_push_name (&walk->path, entry.name);
    int child_ret = walk_dir (walk, child, err);
    strbuf_truncate (&walk->path, before);
    if (child_ret < 0)
      return child_ret;
  }
  return ret;
}

struct place_walk {
  struct pass *pass;
  size_t place;
};

static int walk_layer (void *data, const char *layer, int fd, struct err *err)
{
  struct place_walk *place = data;
  struct walk walk = {
      .pass = place->pass,
      .place = place->place,
      .layer = layer,
      .tree = strcmp (layer, "tree") == 0,
      .path = STRBUF_INIT (FSCK_PATH_MAX),
  };

  int ret = walk_dir (&walk, fd, err);
  if (ret < 0 && err->code != ERR_INTERRUPTED)
    err_wrap (err, "%s/%s", layer, strbuf_str (&walk.path));
  strbuf_release (&walk.path);
  return ret;
}

/* What a guest is doing. Its lock, taken shared in @ret_lock, keeps that so while we look. */
static int look_at_state (struct fsck *fsck, struct fsck_place *place, int fd, int *ret_lock,
                          struct err *err)
{
  const struct lock_how how = {.rank = LOCK_RANK_GUEST, .mode = LOCK_SHARED, .no_wait = true};
  struct guest guest = {.name = place->name, .fd = fd, .lock_fd = -1};

  if (place->kind == FSCK_TEMPLATE)
    return 0;
  if (lock_acquire (fd, "lock", &how, place->path, ret_lock, err) < 0) {
    if (err->code != ERR_LOCKED)
      return -err->code;
    err_release (err);
    place->state = "busy";
    return 0;
  }
  const char *state = guest_state_name (fsck->root, &guest, err);
  if (!state)
    return -err->code;
  place->state = state;
  return 0;
}

static int look_at_private (struct fsck *fsck, const struct fsck_place *place, int fd,
                            struct err *err)
{
  struct guest guest = {.name = place->name, .fd = fd, .lock_fd = -1};
  autoclose int private_fd = fd_open_dir (fd, "private");

  if (private_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open private");
  int ran = guest_has_run (&guest, err);
  if (ran < 0)
    return ran;
  /* What is to be folded has a right to be there. */
  bool clean = !ran && strcmp (place->state, "stopped") == 0 &&
               faccessat (fd, "txn/journal", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
  return fsck_check_private (fsck, place, private_fd, clean, err);
}

static int look_at_place (struct pass *pass, size_t index, struct err *err)
{
  struct fsck *fsck = pass->fsck;
  struct fsck_place *place = &fsck->places[index];
  struct place_walk walk = {pass, index};
  autoclose int lock = -1;
  autoclose int fd = fsck_open_place (fsck, place, err);

  if (fd < 0)
    return fd;
  if (look_at_state (fsck, place, fd, &lock, err) < 0 ||
      fsck_each_layer (fd, place->kind, walk_layer, &walk, err) < 0 ||
      (place->kind != FSCK_TEMPLATE && look_at_private (fsck, place, fd, err) < 0) ||
      (place->kind == FSCK_GUEST && !place->thin && !fsck->options.quick &&
       fsck_check_merged (fsck, place, fd, err) < 0) ||
      fsck_check_files (fsck, place, fd, err) < 0)
    return -err->code;
  return 0;
}

static int run (void *data, unsigned thread, size_t index, struct err *err)
{
  struct pass *pass = data;
  struct fsck *fsck = pass->fsck;

  if (look_at_place (pass, index, err) < 0) {
    if (err->code == ERR_INTERRUPTED)
      return -err->code;
    /* A guest that was deleted meanwhile is none of ours; what is wrong with one place stays there.
     */
    if (err->code != ENOENT ||
        faccessat (fsck->root->fd, fsck->places[index].path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      fsck_add (fsck, FSCK_UNREADABLE, true, fsck->places[index].path, "%s", err_text (err));
    err_release (err);
  }
  pthread_mutex_lock (&pass->mutex);
  size_t done = ++pass->done;
  pthread_mutex_unlock (&pass->mutex);
  if (thread == 0)
    progress_show ("walk", done, fsck->place_count, "trees");
  return 0;
}

static int compare_uses (const void *a, const void *b)
{
  const struct fsck_use *x = a, *y = b;

  if (x->place != y->place)
    return x->place < y->place ? -1 : 1;
  int order = strcmp (x->layer, y->layer);
  return order ? order : strcmp (x->path, y->path);
}

int fsck_walk (struct fsck *fsck, struct err *err)
{
  struct pass pass = {.fsck = fsck, .mutex = PTHREAD_MUTEX_INITIALIZER};
  const struct parallel parallel = {
      .threads = fsck->options.jobs,
      .count = fsck->place_count,
      .data = &pass,
      .run = run,
  };

  for (size_t i = 0; i < fsck->object_count; i++)
    *u64table_put (&pass.wanted, fsck->objects[i].damage.ino, NULL) = i + 1;
  int ret = store_has_inode (fsck->root->store, 0, err);
  if (ret >= 0)
    ret = parallel_run (&parallel, err);
  progress_clear ();
  u64table_release (&pass.wanted);
  pthread_mutex_destroy (&pass.mutex);
  for (size_t i = 0; i < fsck->object_count; i++)
    if (fsck->objects[i].noted_uses)
      qsort (fsck->objects[i].uses, fsck->objects[i].noted_uses, sizeof *fsck->objects[i].uses,
             compare_uses);
  return ret < 0 ? ret : 0;
}
