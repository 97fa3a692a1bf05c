/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gc.h"
#include "entries.h"
#include "store_internal.h"
#include "util/dirread.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <inttypes.h>

enum { FANS = 256 };

/* Name in the directory of the collector: the digest in whole, and the slot. */
#define AWAY_NAME_SIZE (SLOT_NAME_SIZE + 2)

struct garbage {
  struct digest id;
  unsigned slot;
};

struct gc {
  struct store *store; /* borrowed */
  const struct gc_options *options;
  struct garbage *garbage; /* owned */
  size_t count;
  bool had_entries; /* some of what was removed: then objects may be unused that had contents */
  struct gc_result result;
};

/* "ab" and "<62 digits>-<slot>", or both in one word. What has another name is no object. */
static bool parse_name (const char *fan, const char *name, struct garbage *ret_garbage)
{
  char text[DIGEST_TEXT_SIZE];
  size_t len = strcspn (name, "-");
  size_t digits = strspn (name + len + (name[len] != '\0'), "0123456789");

  if (strlen (fan) + len != DIGEST_TEXT_SIZE - 1 || !name[len] || !digits || digits > 9 ||
      name[len + 1 + digits])
    return false;
  snprintf (text, sizeof text, "%s%.*s", fan, (int) len, name);
  ret_garbage->slot = (unsigned) strtoul (name + len + 1, NULL, 10);
  return digest_parse (text, &ret_garbage->id);
}

static void away_name (const struct garbage *garbage, char *name)
{
  char text[DIGEST_TEXT_SIZE];

  digest_format (&garbage->id, text);
  snprintf (name, AWAY_NAME_SIZE, "%s-%u", text, garbage->slot);
}

static int look_at (struct gc *gc, int fan_fd, const char *fan, const char *name, struct err *err)
{
  struct garbage garbage;
  struct stat st;

  if (fstatat (fan_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "stat the object store/%s/%s", fan, name);
  if (S_ISDIR (st.st_mode) || st.st_nlink > 1 || !parse_name (fan, name, &garbage)) {
    gc->result.kept++;
    return 0;
  }
  gc->result.objects++;
  gc->result.bytes += (uint64_t) st.st_blocks * 512;
  if (gc->options->dry_run)
    return 0;
  /* Doubling at the powers of two keeps adding linear. */
  if ((gc->count & (gc->count - 1)) == 0)
    gc->garbage = xreallocarray (gc->garbage, gc->count ? gc->count * 2 : 1, sizeof gc->garbage[0]);
  gc->garbage[gc->count++] = garbage;
  return 0;
}

static int look_over (struct gc *gc, struct err *err)
{
  for (unsigned i = 0; i < FANS; i++) {
    autodirread struct dirread dirread = {0};
    struct dirread_entry entry;
    char fan[3];
    int ret;

    if (interrupt_check (err) < 0)
      return -err->code;
    snprintf (fan, sizeof fan, "%02x", i);
    autoclose int fan_fd = fd_open_dir (gc->store->fd, fan);
    if (fan_fd < 0 && errno == ENOENT)
      continue;
    if (fan_fd < 0)
      return err_errno (err, "open the directory store/%s", fan);
    dirread_start (fan_fd, &dirread);
    while ((ret = dirread_next (&dirread, &entry, err)) > 0)
      if (look_at (gc, fan_fd, fan, entry.name, err) < 0)
        return -err->code;
    if (ret < 0)
      return err_wrap (err, "store/%s", fan);
  }
  return 0;
}

/* Back to the slot it had, or the first free one. */
static int put_back (struct store *store, int away_fd, const char *name, uint64_t ino,
                     const struct garbage *garbage, struct err *err)
{
  char object[SLOT_NAME_SIZE];
  struct stat st;
  int fan_fd = store_fan (store, &garbage->id, err);

  if (fan_fd < 0)
    return fan_fd;
  for (unsigned n = 0;; n++) {
    /* 0: the old slot; then all of them in turn. */
    slot_name (&garbage->id, n ? n - 1 : garbage->slot, object);
    if (fd_rename (away_fd, name, fan_fd, object, RENAME_NOREPLACE) == 0)
      return 0;
    if (errno != EEXIST)
      return err_errno (err, "put the object %s back", name);
    /* A tree that got it published it again? Else the slot is another inode's by now. */
    if (fstatat (fan_fd, object, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == ino)
      return unlinkat (away_fd, name, 0) < 0 ? err_errno (err, "remove the object %s", name) : 0;
  }
}

enum { PUT_BACK = 0, REMOVED, REMOVED_ENTRY };

/* An object that nobody can link any more: is it in use? Returns what became of it, or negative. */
static int decide (struct store *store, int away_fd, const char *name,
                   const struct garbage *garbage, struct err *err)
{
  struct stat st;

  if (fstatat (away_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return err_errno (err, "stat the object %s", name);
  if (st.st_nlink > 1)
    return put_back (store, away_fd, name, st.st_ino, garbage, err);
  int was_entry = entries_remove (store, away_fd, name, err);
  if (was_entry < 0)
    return was_entry;
  return was_entry ? REMOVED_ENTRY : REMOVED;
}

static int remove_one (struct gc *gc, const struct garbage *garbage, struct err *err)
{
  char object[SLOT_NAME_SIZE], away[AWAY_NAME_SIZE];
  int fan_fd = store_fan (gc->store, &garbage->id, err);

  if (fan_fd < 0)
    return fan_fd;
  slot_name (&garbage->id, garbage->slot, object);
  away_name (garbage, away);
  if (renameat (fan_fd, object, gc->options->away_fd, away) < 0)
    return errno == ENOENT ? 0
                           : err_errno (err, "take the object store/%02x/%s away",
                                        garbage->id.bytes[0], object);
  return decide (gc->store, gc->options->away_fd, away, garbage, err);
}

static int remove_all (struct gc *gc, struct err *err)
{
  for (size_t i = 0; i < gc->count; i++) {
    int removed = interrupt_check (err) < 0 ? -err->code : remove_one (gc, &gc->garbage[i], err);

    if (removed < 0)
      return removed;
    gc->had_entries |= removed == REMOVED_ENTRY;
    if (removed == PUT_BACK) {
      gc->result.objects--;
      gc->result.kept++;
    }
  }
  return 0;
}

static bool is_too_much (const struct gc *gc)
{
  return gc->result.objects > gc->result.kept && gc->result.objects > gc->options->expected;
}

static int run_round (struct gc *gc, bool force, struct err *err)
{
  int ret = look_over (gc, err);

  if (ret == 0 && !force)
    gc->result.refused = is_too_much (gc);
  if (ret == 0 && !gc->result.refused && !gc->options->dry_run)
    ret = remove_all (gc, err);
  free (gc->garbage);
  gc->garbage = NULL;
  return ret;
}

int store_gc (struct store *store, const struct gc_options *options, struct gc_result *ret_result,
              struct err *err)
{
  struct gc gc = {.store = store, .options = options};
  int ret = options->dry_run ? 0 : entries_sweep (store, err);

  if (ret == 0)
    ret = run_round (&gc, options->force, err);
  if (ret == 0 && gc.had_entries) {
    /* What the entries had their contents from; it was judged by the first round. */
    struct gc second = {.store = store, .options = options};

    ret = run_round (&second, /* force= */ true, err);
    gc.result.objects += second.result.objects;
    gc.result.bytes += second.result.bytes;
    gc.result.kept = second.result.kept;
  }
  if (ret == 0 && !options->dry_run)
    ret = entries_tidy (store, err);
  if (ret < 0)
    return ret;
  *ret_result = gc.result;
  return 0;
}

int gc_refuse (const struct gc_result *result, struct err *err)
{
  return err_code (err, EPERM,
                   "%" PRIu64 " of the %" PRIu64
                   " objects of the store are used by no tree, which is more than half: are guests "
                   "or templates missing? \"vstore gc --force\" removes them",
                   result->objects, result->objects + result->kept);
}

int store_gc_sweep (struct store *store, int away_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};

  if (dirread_all (away_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++) {
    struct garbage garbage;

    if (parse_name ("", list.items[i].name, &garbage) &&
        decide (store, away_fd, list.items[i].name, &garbage, err) < 0)
      return -err->code;
  }
  return 0;
}
