/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store_internal.h"
#include "util/dirread.h"
#include "util/metaentry.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/parallel.h"
#include "util/progress.h"
#include "verify_internal.h"
#include "verity.h"
#include <pthread.h>
#include <stdatomic.h>

/* One thread's. */
struct reader {
  struct hasher *hasher; /* owned */
  struct diagnosis diagnosis;
};

struct pass {
  struct store *store;
  const struct verify_options *options;
  struct contents contents;        /* owned */
  struct contents_writer notes;    /* owned */
  struct reader *readers;          /* owned; one for each thread */
  uint64_t total;                  /* objects, for the progress */
  atomic_uint_least64_t looked_at; /* of them */
  pthread_mutex_t mutex;           /* of what follows */
  struct verify *verify;
  struct u64table inodes; /* owned: of the objects seen so far */
};

void damage_release (struct damage *damage)
{
  free (damage->detail);
  free (damage->quarantined);
  damage->detail = damage->quarantined = NULL;
}

void verify_release (struct verify *verify)
{
  for (size_t i = 0; i < verify->damage_count; i++)
    damage_release (&verify->damages[i]);
  for (size_t i = 0; i < verify->alien_count; i++)
    free (verify->aliens[i]);
  for (size_t i = 0; i < verify->double_count; i++)
    free (verify->doubles[i]);
  free (verify->damages);
  free (verify->aliens);
  free (verify->doubles);
  free (verify->note_error);
  free (verify->verity_error);
  *verify = (struct verify){0};
}

static void add_name (char ***names, size_t *count, const char *dir, const char *name)
{
  *names = xreallocarray (*names, *count + 1, sizeof **names);
  (*names)[(*count)++] = *dir ? xasprintf ("%s/%s", dir, name) : xstrdup (name);
}

/* What one fan-out directory has to say; goes to the pass when it is done. */
struct part {
  struct verify found;
  struct contents_notes old;
  struct contents_notes notes;
};

static void part_release (struct part *part)
{
  verify_release (&part->found);
  contents_notes_release (&part->old);
  contents_notes_release (&part->notes);
}

static void add_damage (struct part *part, struct damage *damage)
{
  struct verify *found = &part->found;

  /* What it was is worth knowing until it is repaired. */
  if (damage->noted)
    contents_notes_add (&part->notes, &damage->note);
  if ((found->damage_count & (found->damage_count - 1)) == 0)
    found->damages = xreallocarray (
        found->damages, found->damage_count ? found->damage_count * 2 : 1, sizeof *found->damages);
  found->damages[found->damage_count++] = *damage;
  *damage = (struct damage){0};
}

static void note (struct part *part, const struct damage *object,
                  const struct identity_parts *parts)
{
  contents_notes_add (&part->notes, &(struct contents_note){
                                        .key = digest_key (&object->id),
                                        .slot = object->slot,
                                        .contents = parts->contents,
                                        .size = (uint64_t) parts->st.st_size,
                                        .mtime = parts->st.st_mtim,
                                        .mode = parts->st.st_mode,
                                        .uid = parts->st.st_uid,
                                        .gid = parts->st.st_gid,
                                    });
}

/* Reads the object, and says what is wrong with it. 1 when it is damaged, 0 when not. */
static int look_into (struct reader *reader, int fan_fd, const char *name, struct part *part,
                      struct damage *object)
{
  const struct contents_note *old = contents_find (&part->old, &object->id, object->slot);
  autoidentityparts struct identity_parts parts = {0};
  autoxattrs struct xattrs xattrs = {0};
  autoerr struct err err = {0};

  if (old) {
    object->noted = true;
    object->note = *old;
  }
  if (parts_read (reader->hasher, fan_fd, name, &object->now, &parts, &err) < 0 ||
      xattrs_read (-1, fan_fd, name, /* with_overlay= */ true, &xattrs, &err) < 0) {
    object->kind = DAMAGE_READ;
    object->detail = xstrdup (err_text (&err));
    return 1;
  }
  if (S_ISREG (parts.st.st_mode))
    part->found.bytes_read += (uint64_t) parts.st.st_size;
  if (!parts_are (reader->hasher, &parts, &parts.st, &object->id)) {
    diagnose (&reader->diagnosis, &parts, old, object);
    return 1;
  }
  if (parts_have_forms (&xattrs) || (metaentry_is_marked (&xattrs) &&
                                     !parts_may_be_entry (reader->hasher, &parts, &object->id))) {
    object->kind = DAMAGE_FORMS;
    object->detail = xstrdup ("it has attributes of an overlay");
    return 1;
  }
  note (part, object, &parts);
  return 0;
}

static bool has_contents (int fan_fd, const char *name, const struct stat *st)
{
  autoclose int fd = fd_open (fan_fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  autoclose int data = -1;

  return fd >= 0 && metaentry_contents (fd, st, &data) > 0;
}

/* By metadata: 1 when they are not those of the name, 0 when they are, -1 when that cannot be told.
 */
static int look_at (struct reader *reader, int fan_fd, const char *name, struct part *part,
                    const struct damage *object)
{
  const struct contents_note *old = contents_find (&part->old, &object->id, object->slot);
  autoidentityparts struct identity_parts parts = {.st = object->now};
  autoxattrs struct xattrs xattrs = {0};
  autoerr struct err err = {0};

  if (!old)
    return -1;
  /* The contents of an entry may be gone. */
  if (xattrs_read (-1, fan_fd, name, /* with_overlay= */ true, &xattrs, &err) < 0 ||
      parts_have_forms (&xattrs) ||
      (metaentry_is_marked (&xattrs) && !has_contents (fan_fd, name, &object->now)) ||
      xattrs_read (-1, fan_fd, name, /* with_overlay= */ false, &parts.xattrs, &err) < 0)
    return 1;
  parts.contents = old->contents;
  /* Of an object with any mtime the name does not tell it: one that changed is worth a look. */
  return old->mtime.tv_sec != parts.st.st_mtim.tv_sec ||
         old->mtime.tv_nsec != parts.st.st_mtim.tv_nsec ||
         !parts_are (reader->hasher, &parts, &parts.st, &object->id);
}

static int look (struct pass *pass, struct reader *reader, int fan_fd, const char *name,
                 struct part *part, struct damage *object)
{
  if (S_ISREG (object->now.st_mode) && !object->now.st_size) {
    object->kind = DAMAGE_CONTENTS;
    object->detail = xstrdup ("it is empty");
    return 1;
  }
  if (pass->options->quick && S_ISREG (object->now.st_mode)) {
    int wrong = look_at (reader, fan_fd, name, part, object);

    part->found.unnoted += wrong < 0;
    if (wrong <= 0)
      return 0;
  }
  return look_into (reader, fan_fd, name, part, object);
}

/* What is known of the names of an inode. */
enum { NAME_GOOD = 1, NAME_BAD = 2 };

/* Notes that a name of the inode is good or bad. Returns what was known before. */
static uint64_t note_name (struct pass *pass, uint64_t ino, uint64_t what)
{
  pthread_mutex_lock (&pass->mutex);
  uint64_t *known = u64table_put (&pass->inodes, ino, NULL);
  uint64_t before = *known;
  *known |= what;
  pthread_mutex_unlock (&pass->mutex);
  return before;
}

/* A good object without fs-verity, where it is required. */
static int guard (struct pass *pass, int fan_fd, const char *name, const struct damage *object,
                  struct verify *found, struct err *err)
{
  autoerr struct err why = {0};

  if (pass->store->verity != VERITY_REQUIRE || !S_ISREG (object->now.st_mode))
    return 0;
  int has = verity_has (fan_fd, name, err);
  if (has)
    return has < 0 && err->code != ENOENT ? -err->code : 0;
  if (!pass->options->add_verity) {
    found->verity_missing++;
  } else if (verity_enable (pass->store, fan_fd, name, object->now.st_mode, &why) == 0) {
    found->verity_added++;
  } else {
    found->verity_missing++;
    if (!found->verity_error)
      found->verity_error = xstrdup (err_text (&why));
  }
  return 0;
}

static int visit (struct pass *pass, struct reader *reader, int fan_fd, const char *fan,
                  const struct dirread_entry *entry, struct part *part, struct err *err)
{
  struct damage object = {.ino = entry->ino};

  if (entry->type == DT_DIR || entry->type == DT_SOCK ||
      !slot_parse (fan, entry->name, &object.id, &object.slot)) {
    add_name (&part->found.aliens, &part->found.alien_count, fan, entry->name);
    return 0;
  }
  if (fstatat (fan_fd, entry->name, &object.now, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object store/%s/%s", fan, entry->name);
  part->found.objects++;
  object.ino = object.now.st_ino;
  object.links = object.now.st_nlink;
  if (object.links == 1) {
    part->found.orphans++;
    part->found.orphan_bytes += (uint64_t) object.now.st_blocks * 512;
  }
  uint64_t what = look (pass, reader, fan_fd, entry->name, part, &object) ? NAME_BAD : NAME_GOOD;
  if (note_name (pass, object.ino, what) & what)
    add_name (&part->found.doubles, &part->found.double_count, fan, entry->name);
  else if (what == NAME_BAD)
    add_damage (part, &object);
  int ret = what == NAME_GOOD ? guard (pass, fan_fd, entry->name, &object, &part->found, err) : 0;
  damage_release (&object);
  return ret;
}

static void append (void *to_items, size_t *to_count, void *from_items, size_t *from_count,
                    size_t size)
{
  char **to = to_items;

  if (!*from_count)
    return;
  *to = xreallocarray (*to, *to_count + *from_count, size);
  memcpy (*to + *to_count * size, *(char **) from_items, *from_count * size);
  *to_count += *from_count;
  *from_count = 0;
}

static int merge (struct pass *pass, struct reader *reader, unsigned fan, struct part *part,
                  struct err *err)
{
  struct verify *all = pass->verify, *found = &part->found;

  append (&all->damages, &all->damage_count, &found->damages, &found->damage_count,
          sizeof *found->damages);
  append (&all->aliens, &all->alien_count, &found->aliens, &found->alien_count,
          sizeof *found->aliens);
  append (&all->doubles, &all->double_count, &found->doubles, &found->double_count,
          sizeof *found->doubles);
  all->objects += found->objects;
  all->bytes_read += found->bytes_read;
  all->orphans += found->orphans;
  all->orphan_bytes += found->orphan_bytes;
  all->unnoted += found->unnoted;
  all->verity_missing += found->verity_missing;
  all->verity_added += found->verity_added;
  if (!all->verity_error && found->verity_error)
    all->verity_error = steal_ptr (&found->verity_error);
  if (pass->options->quick || all->note_error)
    return 0;
  /* A disk without room for notes is no reason not to look on. */
  if (contents_writer_add (&pass->notes, reader->hasher, fan, &part->notes, err) < 0) {
    all->note_error = xstrdup (err_text (err));
    err_release (err);
  }
  return 0;
}

static int look_through (struct pass *pass, struct reader *reader, unsigned fan, struct part *part,
                         struct err *err)
{
  autodirlist struct dirlist list = {0};
  char name[3];

  snprintf (name, sizeof name, "%02x", fan);
  autoclose int fan_fd = fd_open_dir (pass->store->fd, name);
  if (fan_fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return 0;
  if (fan_fd < 0 || dirread_all (fan_fd, &list, err) < 0)
    return err_errno (err, "open the directory store/%s", name);
  for (size_t i = 0; i < list.count; i++) {
    if (interrupt_pending ())
      return interrupt_check (err);
    if (visit (pass, reader, fan_fd, name, &list.items[i], part, err) < 0)
      return -err->code;
    uint64_t done = atomic_fetch_add (&pass->looked_at, 1) + 1;
    if (reader == pass->readers)
      progress_show ("check", done, pass->total, "objects");
  }
  return 0;
}

static int run (void *data, unsigned thread, size_t fan, struct err *err)
{
  struct pass *pass = data;
  struct reader *reader = &pass->readers[thread];
  struct part part = {0};
  int ret = contents_load (&pass->contents, reader->hasher, (unsigned) fan, &part.old, err);

  if (ret == 0)
    ret = look_through (pass, reader, (unsigned) fan, &part, err);
  if (ret == 0) {
    pthread_mutex_lock (&pass->mutex);
    ret = merge (pass, reader, (unsigned) fan, &part, err);
    pthread_mutex_unlock (&pass->mutex);
  }
  part_release (&part);
  return ret;
}

/* What lies in store/ itself. */
static int look_at_top (struct pass *pass, struct err *err)
{
  static const char *const known[] = {CONTENTS_NAME, "quarantine", METAENTRY_DATA, NULL};
  autodirlist struct dirlist list = {0};

  if (dirread_all (pass->store->fd, &list, err) < 0)
    return err_wrap (err, "store");
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.items[i].name;
    const char *const *k = known;

    while (*k && strcmp (*k, name) != 0)
      k++;
    /* Others that run now have temporary files. */
    if (!*k && strncmp (name, ".vg-", 4) != 0 &&
        !(fan_is_name (name) && list.items[i].type == DT_DIR))
      add_name (&pass->verify->aliens, &pass->verify->alien_count, "", name);
  }
  return 0;
}

/* An inode that has a good name as well is no damaged object: the bad name is one too many. */
static void find_misnamed (struct pass *pass)
{
  struct verify *verify = pass->verify;
  size_t kept = 0;

  for (size_t i = 0; i < verify->damage_count; i++) {
    struct damage *damage = &verify->damages[i];
    const uint64_t *known = u64table_get (&pass->inodes, damage->ino);
    char name[SLOT_NAME_SIZE], fan[3];

    if (!known || !(*known & NAME_GOOD)) {
      verify->damages[kept++] = *damage;
      continue;
    }
    snprintf (fan, sizeof fan, "%02x", damage->id.bytes[0]);
    slot_name (&damage->id, damage->slot, name);
    add_name (&verify->doubles, &verify->double_count, fan, name);
    damage_release (damage);
  }
  verify->damage_count = kept;
}

static int compare_damages (const void *a, const void *b)
{
  const struct damage *x = a, *y = b;
  int order = memcmp (x->id.bytes, y->id.bytes, sizeof x->id.bytes);

  return order ? order : (x->slot > y->slot) - (x->slot < y->slot);
}

static int compare_names (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void sort (struct verify *verify)
{
  if (verify->damage_count)
    qsort (verify->damages, verify->damage_count, sizeof *verify->damages, compare_damages);
  if (verify->alien_count)
    qsort (verify->aliens, verify->alien_count, sizeof *verify->aliens, compare_names);
  if (verify->double_count)
    qsort (verify->doubles, verify->double_count, sizeof *verify->doubles, compare_names);
}

static int look_at_all (struct pass *pass, struct err *err)
{
  struct verify *verify = pass->verify;
  const struct parallel parallel = {
      .threads = pass->options->threads,
      .count = 256,
      .data = pass,
      .run = run,
  };

  if (contents_open (pass->store, &pass->contents, err) < 0)
    return -err->code;
  if (pass->contents.fd >= 0) {
    verify->noted = pass->contents.time;
    verify->place = pass->contents.place;
  }
  if (!pass->options->quick && contents_writer_start (pass->store, &pass->notes, err) < 0) {
    verify->note_error = xstrdup (err_text (err));
    err_release (err);
  }
  if (look_at_top (pass, err) < 0 || store_has_inode (pass->store, 0, err) < 0)
    return -err->code;
  pass->total = pass->store->inodes.count;
  if (parallel_run (&parallel, err) < 0)
    return -err->code;
  progress_clear ();
  find_misnamed (pass);
  sort (verify);
  if (!pass->options->quick && !verify->note_error &&
      contents_writer_finish (&pass->notes, err) < 0) {
    verify->note_error = xstrdup (err_text (err));
    err_release (err);
  }
  return 0;
}

int store_verify (struct store *store, const struct verify_options *options,
                  struct verify *ret_verify, struct err *err)
{
  autoverify struct verify verify = {0};
  struct pass pass = {
      .store = store,
      .options = options,
      .contents.fd = -1,
      .notes.fd = -1,
      .mutex = PTHREAD_MUTEX_INITIALIZER,
      .verify = &verify,
  };

  pass.readers = xcalloc (options->threads, sizeof *pass.readers);
  for (unsigned i = 0; i < options->threads; i++) {
    pass.readers[i].hasher = hasher_new ();
    pass.readers[i].diagnosis.hasher = pass.readers[i].hasher;
  }
  int ret = look_at_all (&pass, err);
  for (unsigned i = 0; i < options->threads; i++)
    hasher_free (pass.readers[i].hasher);
  free (pass.readers);
  contents_close (&pass.contents);
  contents_writer_release (&pass.notes);
  u64table_release (&pass.inodes);
  pthread_mutex_destroy (&pass.mutex);
  if (ret < 0)
    return ret;
  *ret_verify = verify;
  verify = (struct verify){0};
  return 0;
}

int store_diagnose (struct store *store, int dir_fd, const char *name, const struct digest *id,
                    unsigned slot, struct damage *ret_damage, struct err *err)
{
  struct reader reader = {.hasher = store->hasher, .diagnosis = {.hasher = store->hasher}};
  struct damage object = {.id = *id, .slot = slot};
  autocontents struct contents contents = {.fd = -1};
  struct part part = {0};

  if (fstatat (dir_fd, name, &object.now, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat %s", name);
  object.ino = object.now.st_ino;
  object.links = object.now.st_nlink;
  if (object.links == 1) {
    *ret_damage = object;
    return 0;
  }
  if (contents_open (store, &contents, err) < 0 ||
      contents_load (&contents, store->hasher, id->bytes[0], &part.old, err) < 0)
    return -err->code;
  if (!identity_can_share (&object.now) || !look_into (&reader, dir_fd, name, &part, &object))
    object.kind = DAMAGE_UNKNOWN;
  part_release (&part);
  *ret_damage = object;
  return 0;
}
