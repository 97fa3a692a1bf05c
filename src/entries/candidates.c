/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "candidates.h"
#include "store/store_internal.h"
#include "tree/fold.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/metaentry.h"
#include "util/progress.h"

enum { FANS = 256 };

/* The search. Uses: inode -> how many names may become entries, with ENTRIES_USE_BAD when some
 * cannot. */
struct finding {
  struct entries_run *run;
  const struct candidates *known; /* borrowed; or NULL */
  struct candidates *candidates;
  struct u64table uses; /* owned */
};

/* One tree. */
struct walk {
  struct finding *finding;
  struct entries_place *place;
};

/* What the first search hashed as that inode, or NULL. */
static const struct candidate_object *find_known (const struct finding *finding, uint64_t ino)
{
  const uint64_t *at = u64table_get (&finding->known->index, ino);
  const struct candidate_object *known = at ? &finding->known->objects[*at - 1] : NULL;

  return known && known->hashed ? known : NULL;
}

/* The second search, which others wait for, looks at nothing else. */
static bool is_passed_over (const struct finding *finding, uint64_t ino)
{
  return finding->known && !find_known (finding, ino);
}

static int note_file (struct walk *walk, int dir_fd, const struct dirread_entry *entry,
                      unsigned verdict, bool outside, struct err *err)
{
  const struct rules *rules = &walk->place->policy.rules;
  struct stat st;

  /* Hard-link partners, or a name of its base or of an undo layer? */
  if (!u64set_add (&walk->place->inodes, entry->ino)) {
    *u64table_put (&walk->finding->uses, entry->ino, NULL) |= ENTRIES_USE_BAD;
    return 0;
  }
  if (entry->type != DT_REG || outside || is_passed_over (walk->finding, entry->ino) ||
      !rules_can_be (rules, verdict, FOLD_CLASS_MASK, FOLD_EAGER))
    return 0;
  if (fstatat (dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat %s", entry->name);
  if ((rules_settle (rules, verdict, &st) & FOLD_CLASS_MASK) == FOLD_EAGER)
    ++*u64table_put (&walk->finding->uses, entry->ino, NULL);
  return 0;
}

/* @outside: in /etc or /var. */
static int walk_dir (struct walk *walk, int fd, const struct rules_state *state, bool top,
                     bool outside, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (interrupt_check (err) < 0 || dirread_all (fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    const struct dirread_entry *entry = &list.items[i];
    autorulesstate struct rules_state child = {0};
    bool below_outside =
        outside || (top && (strcmp (entry->name, "etc") == 0 || strcmp (entry->name, "var") == 0));

    rules_enter (&walk->place->policy.rules, state, entry->name, &child);
    if (entry->type != DT_DIR) {
      if (note_file (walk, fd, entry, child.verdict, outside, err) < 0)
        return -err->code;
      continue;
    }
    autoclose int child_fd = fd_open_dir (fd, entry->name);
    if (child_fd < 0)
      return err_errno (err, "open the directory %s", entry->name);
    if (walk_dir (walk, child_fd, &child, /* top= */ false, below_outside, err) < 0)
      return err_wrap (err, "%s", entry->name);
  }
  return 0;
}

/* The inodes that a thin guest has of its base are no choice, and none of them becomes an entry. */
static int note_base (struct finding *finding, struct entries_place *place, struct err *err)
{
  struct fsck *fsck = &finding->run->fsck;
  const struct fsck_place *there = &fsck->places[place->index];

  if (!there->thin)
    return 0;
  autoclose int fd = fsck_open_place (fsck, &fsck->places[there->base], err);
  autoclose int tree_fd = fd < 0 ? -1 : fd_open_dir (fd, "tree");
  if (fd < 0)
    return fd;
  if (tree_fd < 0)
    return err_errno (err, "open the tree of its template");
  return entries_note_inodes (place, tree_fd, err);
}

static int note_undo_layer (void *data, const char *layer, int fd, struct err *err)
{
  if (strcmp (layer, "tree") == 0)
    return 0;
  return entries_note_inodes (data, fd, err) < 0 ? err_wrap (err, "%s", layer) : 0;
}

static int look_at_place (struct finding *finding, struct entries_place *place, struct err *err)
{
  struct walk walk = {finding, place};
  autorulesstate struct rules_state state = {0};

  /* What a rollback brings back is none of its other files either. */
  if (note_base (finding, place, err) < 0 ||
      fsck_each_layer (place->change.fd, FSCK_GUEST, note_undo_layer, place, err) < 0)
    return err_wrap (err, "%s", place->change.place->path);
  rules_start (&place->policy.rules, FOLD_SHARED, &state);
  if (walk_dir (&walk, place->change.tree_fd, &state, /* top= */ true, /* outside= */ false, err) <
      0)
    return err_wrap (err, "%s/tree", place->change.place->path);
  return 0;
}

/* Where the contents of an entry lie is looked for when it is read, and until then the kernel shows
 * so many blocks: a file that has more or less would be seen to change. */
static bool has_plain_blocks (const struct stat *st)
{
  uint64_t size = (uint64_t) st->st_size, unit = (uint64_t) st->st_blksize;

  return S_ISREG (st->st_mode) && size && unit &&
         (uint64_t) st->st_blocks == (size + unit - 1) / unit * unit / 512;
}

/* What the first search found of the object, if it is the same one. */
static void take_known (const struct finding *finding, struct candidate_object *object)
{
  const struct candidate_object *known = find_known (finding, object->ino);

  if (!known || known->slot != object->slot || !digest_equal (&known->id, &object->id))
    return;
  object->hashed = true;
  object->flags = known->flags;
  object->contents = known->contents;
  object->entry_id = known->entry_id;
}

static int add_object (struct finding *finding, int fan_fd, const char *fan, const char *name,
                       struct err *err)
{
  struct candidates *candidates = finding->candidates;
  struct candidate_object object = {0};
  struct stat st;

  if (!slot_parse (fan, name, &object.id, &object.slot))
    return 0;
  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object store/%s/%s", fan, name);
  if (!has_plain_blocks (&st))
    return 0;
  const uint64_t *uses = u64table_get (&finding->uses, st.st_ino);
  object.ino = st.st_ino;
  object.links = st.st_nlink;
  object.size = (uint64_t) st.st_size;
  object.bytes = (uint64_t) st.st_blocks * 512;
  /* All of its names are known, and may change. */
  object.free = uses && *uses && object.links == *uses + 1;
  if (finding->known)
    take_known (finding, &object);
  if ((candidates->count & (candidates->count - 1)) == 0)
    candidates->objects =
        xreallocarray (candidates->objects, candidates->count ? candidates->count * 2 : 1,
                       sizeof *candidates->objects);
  candidates->objects[candidates->count++] = object;
  return 0;
}

static int add_objects (struct finding *finding, struct err *err)
{
  for (unsigned i = 0; i < FANS; i++) {
    autodirlist struct dirlist list = {0};
    char fan[3];

    snprintf (fan, sizeof fan, "%02x", i & 0xff);
    autoclose int fan_fd = fd_open_dir (finding->run->root->store->fd, fan);
    if (fan_fd < 0 && errno == ENOENT)
      continue;
    if (fan_fd < 0)
      return err_errno (err, "open the directory store/%s", fan);
    if (dirread_all (fan_fd, &list, err) < 0)
      return err_wrap (err, "store/%s", fan);
    for (size_t k = 0; k < list.count; k++)
      if (!is_passed_over (finding, list.items[k].ino) &&
          add_object (finding, fan_fd, fan, list.items[k].name, err) < 0)
        return -err->code;
  }
  return 0;
}

/* Reads the object; one that is an entry, or is not what its name says, stays out of it. */
static int hash_object (struct finding *finding, struct candidate_object *object, struct err *err)
{
  struct store *store = finding->run->root->store;
  autoidentityparts struct identity_parts parts = {0};
  char name[SLOT_NAME_SIZE];
  struct digest id;
  int fan = store_fan (store, &object->id, err);

  if (fan < 0)
    return fan;
  slot_name (&object->id, object->slot, name);
  autoclose int fd = fd_open (fan, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
  if (fd < 0 && errno == ENOENT)
    return 0;
  struct stat st = {0};
  int is_entry = fd < 0 || fstat (fd, &st) < 0 ? -1 : metaentry_read (fd, -1, NULL, &st, NULL);
  if (is_entry < 0)
    return err_errno (err, "open the object store/%02x/%s", object->id.bytes[0], name);
  if (is_entry || st.st_ino != object->ino)
    return 0;
  if (identity_parts_of_fd (store->hasher, fd, &parts, err) < 0)
    return err_wrap (err, "store/%02x/%s", object->id.bytes[0], name);
  finding->run->report->read += object->size;
  for (unsigned flags = 0; flags <= IDENTITY_ANY_MTIME && !object->hashed; flags++) {
    identity_combine (store->hasher, &parts.st, &parts.xattrs, &parts.contents, flags, &id);
    object->hashed = digest_equal (&id, &object->id);
    object->flags = flags;
  }
  object->contents = parts.contents;
  identity_combine (store->hasher, &parts.st, &parts.xattrs, &parts.contents,
                    object->flags | IDENTITY_ENTRY, &object->entry_id);
  return 0;
}

static int by_size (const void *a, const void *b)
{
  const struct candidate_object *x = a, *y = b;

  return x->size < y->size ? -1 : x->size > y->size;
}

/* Equal ones together; first of them what stays whole: what cannot become an entry, then what has
 * most names. */
static int by_contents (const void *a, const void *b)
{
  const struct candidate_object *x = a, *y = b;
  int order = memcmp (x->contents.bytes, y->contents.bytes, sizeof x->contents.bytes);

  if (x->hashed != y->hashed)
    return x->hashed ? -1 : 1;
  if (order)
    return order;
  if (x->free != y->free)
    return x->free ? 1 : -1;
  if (x->links != y->links)
    return x->links > y->links ? -1 : 1;
  return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Chooses among @count objects of one size, from @first on. */
static void choose (struct candidates *candidates, size_t first, size_t count)
{
  struct candidate_object *objects = candidates->objects + first;
  size_t whole = 0;
  uint64_t links = 0;

  qsort (objects, count, sizeof *objects, by_contents);
  for (size_t i = 0; i < count && objects[i].hashed; i++) {
    bool same = i && digest_equal (&objects[i].contents, &objects[whole].contents);

    /* A full inode gets no more links: the next one takes its part. */
    if (!same || links >= STORE_LINKS_MAX) {
      whole = i;
      links = objects[i].links;
    } else if (objects[i].free) {
      objects[i].whole = first + whole + 1;
      links++;
    }
  }
}

static int compare_class (struct finding *finding, size_t first, size_t count, struct err *err)
{
  struct candidate_object *objects = finding->candidates->objects + first;
  bool any = false;

  for (size_t i = 0; i < count; i++)
    any |= objects[i].free;
  if (count < 2 || !any)
    return 0;
  for (size_t i = 0; i < count && !finding->known; i++) {
    autoerr struct err own = {0};

    if (interrupt_check (err) < 0)
      return -err->code;
    if (hash_object (finding, &objects[i], &own) < 0)
      entries_fail (finding->run->report, &own);
  }
  choose (finding->candidates, first, count);
  return 0;
}

static int compare_all (struct finding *finding, struct err *err)
{
  struct candidates *candidates = finding->candidates;
  size_t first = 0;

  if (candidates->count)
    qsort (candidates->objects, candidates->count, sizeof *candidates->objects, by_size);
  for (size_t i = 1; i <= candidates->count; i++) {
    if (i < candidates->count && candidates->objects[i].size == candidates->objects[first].size)
      continue;
    progress_show ("contents: objects", i, candidates->count, "objects");
    if (compare_class (finding, first, i - first, err) < 0)
      return -err->code;
    first = i;
  }
  for (size_t i = 0; i < candidates->count; i++)
    *u64table_put (&candidates->index, candidates->objects[i].ino, NULL) = i + 1;
  return 0;
}

bool candidates_equal (const struct candidates *candidates, uint64_t ino,
                       const struct candidate_object *object)
{
  const uint64_t *at = u64table_get (&candidates->index, ino);
  const struct candidate_object *other = at ? &candidates->objects[*at - 1] : NULL;

  return other && other->hashed && object->hashed &&
         digest_equal (&other->contents, &object->contents);
}

int candidates_find (struct entries_run *run, const struct candidates *known,
                     struct candidates *ret_candidates, struct err *err)
{
  autocandidates struct candidates candidates = {0};
  struct finding finding = {.run = run, .known = known, .candidates = &candidates};
  int ret = 0;

  for (size_t i = 0; ret == 0 && i < run->place_count; i++)
    ret = look_at_place (&finding, &run->places[i], err);
  if (ret == 0)
    ret = add_objects (&finding, err);
  if (ret == 0)
    ret = compare_all (&finding, err);
  u64table_release (&finding.uses);
  if (ret < 0)
    return ret;
  *ret_candidates = candidates;
  candidates = (struct candidates){0};
  return 0;
}
