/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "history.h"
#include "guest/collect.h"
#include "guest/settings.h"
#include "tree/undo.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <inttypes.h>

#define ENTRY_FILE "entry.json"
#define PREPARED "entry" /* in txn/ */

enum { ID_DIGITS_MAX = 18 };

static int open_txn (struct guest *guest, struct err *err)
{
  int fd = fd_open_dir (guest->fd, "txn");

  return fd < 0 ? err_errno (err, "open txn of guest %s", guest->name) : fd;
}

/* guests/NAME/history, made with @make; without it -1 when there is none. */
static int open_history (struct guest *guest, bool make, int *ret_fd, struct err *err)
{
  *ret_fd = make ? fd_make_dir (guest->fd, "history", 0700) : fd_open_dir (guest->fd, "history");
  if (*ret_fd < 0 && (make || errno != ENOENT))
    return err_errno (err, "open the history of guest %s", guest->name);
  return 0;
}

/* The number that the name is, or 0. */
static uint64_t parse_id (const char *name)
{
  size_t len = strlen (name);

  if (len == 0 || len > ID_DIGITS_MAX || name[0] == '0' || strspn (name, "0123456789") != len)
    return 0;
  return strtoull (name, NULL, 10);
}

static int compare_ids (const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

  return x < y ? -1 : x > y;
}

struct ids {
  uint64_t *items; /* owned; ascending */
  size_t count;
};

static void ids_release (struct ids *ids)
{
  free (ids->items);
}
#define autoids __attribute__ ((cleanup (ids_release)))

static int read_ids (int history_fd, struct ids *ret_ids, struct err *err)
{
  autodirlist struct dirlist list = {0};
  autoids struct ids ids = {0};

  if (history_fd >= 0 && dirread_all (history_fd, &list, err) < 0)
    return err_wrap (err, "history");
  ids.items = xcalloc (list.count + 1, sizeof *ids.items);
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].type == DT_DIR && parse_id (list.items[i].name))
      ids.items[ids.count++] = parse_id (list.items[i].name);
  qsort (ids.items, ids.count, sizeof *ids.items, compare_ids);
  *ret_ids = ids;
  ids.items = NULL;
  return 0;
}

static int open_entry (int history_fd, uint64_t id)
{
  autofree char *name = xasprintf ("%" PRIu64, id);

  return fd_open_dir (history_fd, name);
}

static bool has (int dir_fd, const char *name)
{
  return faccessat (dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A file that cannot be read gives an entry that says so: it must not hide the others. */
static void read_entry (int entry_fd, uint64_t id, struct history_entry *ret_entry)
{
  autojson json_object *object = NULL;
  autoerr struct err ignored = {0};

  if (json_read_file (entry_fd, ENTRY_FILE, ENTRY_FILE, &object, &ignored) < 0)
    object = json_object_new_object ();
  history_entry_parse (object, ret_entry);
  if (id)
    ret_entry->id = id;
  ret_entry->has_undo = has (entry_fd, "undo");
}

static void add_entry (struct history *history, const struct history_entry *entry)
{
  history->items = xreallocarray (history->items, history->count + 1, sizeof *history->items);
  history->items[history->count++] = *entry;
}

/* The one that a running guest is on and that is its own, but not committed yet. */
static void add_pending (struct guest *guest, struct history *history)
{
  struct history_entry entry = {0};
  autoclose int entry_fd = fd_open_dir_beneath (guest->fd, "txn/" PREPARED);

  if (entry_fd < 0 || !has (guest->fd, "txn/accepted"))
    return;
  read_entry (entry_fd, 0, &entry);
  entry.pending = true;
  if (!entry.id || history_find (history, entry.id)) {
    history_entry_release (&entry);
    return;
  }
  add_entry (history, &entry);
}

static int compare_entries (const void *a, const void *b)
{
  return compare_ids (&((const struct history_entry *) a)->id,
                      &((const struct history_entry *) b)->id);
}

int history_read (struct guest *guest, struct history *ret_history, struct err *err)
{
  autohistory struct history history = {0};
  autoclose int history_fd = -1;
  autoids struct ids ids = {0};

  if (open_history (guest, /* make= */ false, &history_fd, err) < 0 ||
      read_ids (history_fd, &ids, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  for (size_t i = 0; i < ids.count; i++) {
    autoclose int entry_fd = open_entry (history_fd, ids.items[i]);
    struct history_entry entry;

    if (entry_fd < 0 && errno == ENOENT)
      continue;
    if (entry_fd < 0)
      return err_errno (err, "open history/%" PRIu64 " of guest %s", ids.items[i], guest->name);
    read_entry (entry_fd, ids.items[i], &entry);
    add_entry (&history, &entry);
  }
  add_pending (guest, &history);
  if (history.count)
    qsort (history.items, history.count, sizeof *history.items, compare_entries);
  for (size_t i = 0; i < history.count; i++)
    for (size_t k = 0; k < history.count; k++)
      if (history.items[i].undoes && history.items[k].id == history.items[i].undoes)
        history.items[k].rolled_back_by = history.items[i].id;
  *ret_history = history;
  history = (struct history){0};
  return 0;
}

int history_open (struct guest *guest, uint64_t id, struct err *err)
{
  autoclose int history_fd = -1;

  if (open_history (guest, /* make= */ false, &history_fd, err) < 0)
    return -err->code;
  int fd = history_fd < 0 ? -1 : open_entry (history_fd, id);
  return fd < 0 ? err_errno (err, "open history/%" PRIu64 " of guest %s", id, guest->name) : fd;
}

/* How many undo layers are kept. Read by itself: a setting that is wrong elsewhere does not keep a
 * transaction from its end. */
static int keep_count (struct guest *guest, uint64_t *ret_keep, struct err *err)
{
  int64_t keep = KEEP_TRANSACTIONS_DEFAULT;

  if (guest->config &&
      json_get_int (guest->config, "keep_transactions", KEEP_TRANSACTIONS_DEFAULT, &keep, err) < 0)
    return err_wrap (err, "config.json of guest %s", guest->name);
  if (keep < 0 || keep > KEEP_TRANSACTIONS_MAX)
    return err_code (err, ERR_USAGE,
                     "config.json of guest %s: keep_transactions must be 0 to %d, not %" PRId64,
                     guest->name, KEEP_TRANSACTIONS_MAX, keep);
  *ret_keep = (uint64_t) keep;
  return 0;
}

int history_prepared (struct guest *guest, uint64_t *ret_id, struct err *err)
{
  autohistoryentry struct history_entry entry = {0};
  autoclose int entry_fd = fd_open_dir_beneath (guest->fd, "txn/" PREPARED);

  *ret_id = 0;
  if (entry_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open txn/" PREPARED " of guest %s", guest->name);
  read_entry (entry_fd, 0, &entry);
  *ret_id = entry.id;
  return 0;
}

static int next_id (struct guest *guest, int history_fd, uint64_t *ret_id, struct err *err)
{
  autoids struct ids ids = {0};
  uint64_t prepared = 0;

  if (read_ids (history_fd, &ids, err) < 0 || history_prepared (guest, &prepared, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  uint64_t last = ids.count ? ids.items[ids.count - 1] : 0;
  *ret_id = 1 + (prepared > last ? prepared : last);
  return 0;
}

/* Makes the directory @name in txn/ with an entry.json. @ret_fd is the caller's. */
static int make_entry (struct guest *guest, const char *name, const struct history_note *note,
                       uint64_t id, int *ret_fd, struct err *err)
{
  autojson json_object *object = history_note_json (note);
  autoclose int txn_fd = open_txn (guest, err);

  if (txn_fd < 0 || fd_remove_tree (txn_fd, name, err) < 0)
    return -err->code;
  autoclose int fd = fd_make_dir (txn_fd, name, 0700);
  if (fd < 0)
    return err_errno (err, "make txn/%s of guest %s", name, guest->name);
  json_set_int (object, "id", (int64_t) id);
  if (json_create_file (fd, ENTRY_FILE, object, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  *ret_fd = steal_fd (&fd);
  return 0;
}

int history_prepare (struct guest *guest, const struct history_note *note, uint64_t *ret_id,
                     struct err *err)
{
  autoclose int history_fd = -1, entry_fd = -1;
  uint64_t keep = 0, id = 0;

  if (keep_count (guest, &keep, err) < 0 ||
      open_history (guest, /* make= */ true, &history_fd, err) < 0 ||
      next_id (guest, history_fd, &id, err) < 0 ||
      make_entry (guest, PREPARED, note, id, &entry_fd, err) < 0)
    return -err->code;
  if (keep && !note->minor && undo_build (guest->fd, entry_fd, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  *ret_id = id;
  return 0;
}

int history_discard (struct guest *guest, int dir_fd, const char *name, struct err *err)
{
  autoclose int txn_fd = open_txn (guest, err);
  char temp[FD_TEMP_NAME_SIZE];

  if (txn_fd < 0)
    return txn_fd;
  fd_temp_name (temp);
  if (fd_rename (dir_fd, name, txn_fd, temp, RENAME_NOREPLACE) < 0)
    return errno == ENOENT ? 0 : err_errno (err, "move %s to txn of guest %s", name, guest->name);
  return fd_remove_tree (txn_fd, temp, err);
}

/* The undo layer is a part of the guest now: its files may be the very ones in private, so that it
 * must be gone before the guest is mounted. */
static int consume_undone (struct vroot *root, struct guest *guest, int history_fd, struct err *err)
{
  autohistoryentry struct history_entry newest = {0};
  autoids struct ids ids = {0};

  if (read_ids (history_fd, &ids, err) < 0)
    return -err->code;
  if (!ids.count)
    return 0;
  autoclose int newest_fd = open_entry (history_fd, ids.items[ids.count - 1]);
  if (newest_fd < 0)
    return err_errno (err, "open history/%" PRIu64, ids.items[ids.count - 1]);
  read_entry (newest_fd, ids.items[ids.count - 1], &newest);
  autoclose int undone_fd = newest.undoes ? open_entry (history_fd, newest.undoes) : -1;
  if (undone_fd < 0)
    return 0;
  return has (undone_fd, "undo") && (root_want_gc (root, err) < 0 ||
                                     history_discard (guest, undone_fd, "undo", err) < 0)
             ? -err->code
             : 0;
}

int history_publish (struct vroot *root, struct guest *guest, struct err *err)
{
  autoclose int txn_fd = open_txn (guest, err), history_fd = -1;
  uint64_t id = 0;

  if (txn_fd < 0 || history_prepared (guest, &id, err) < 0 ||
      open_history (guest, /* make= */ id != 0, &history_fd, err) < 0)
    return -err->code;
  if (id) {
    autofree char *name = xasprintf ("%" PRIu64, id);

    if (fd_rename (txn_fd, PREPARED, history_fd, name, RENAME_NOREPLACE) < 0)
      return err_errno (err, "move txn/" PREPARED " of guest %s to history/%s", guest->name, name);
  }
  if (history_fd >= 0 && consume_undone (root, guest, history_fd, err) < 0)
    return err_wrap (err, "history of guest %s", guest->name);
  return 0;
}

/* Removes the undo layer, when there is one. Returns 1, 0 or negative. */
static int drop_undo (struct vroot *root, struct guest *guest, int history_fd, uint64_t id,
                      struct err *err)
{
  autoclose int entry_fd = open_entry (history_fd, id);

  if (entry_fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open history/%" PRIu64, id);
  if (!has (entry_fd, "undo"))
    return 0;
  /* The note comes first: objects become unused the moment it goes. */
  if (root_want_gc (root, err) < 0 || history_discard (guest, entry_fd, "undo", err) < 0)
    return -err->code;
  return 1;
}

/* From the oldest on, as long as there are too many. */
static int prune_entries (struct guest *guest, int history_fd, const struct ids *ids,
                          struct err *err)
{
  size_t left = ids->count;

  for (size_t i = 0; i < ids->count && left > HISTORY_ENTRIES_MAX; i++) {
    autofree char *name = xasprintf ("%" PRIu64, ids->items[i]);
    autofree char *undo = xasprintf ("%s/undo", name);

    if (has (history_fd, undo))
      continue;
    if (history_discard (guest, history_fd, name, err) < 0)
      return -err->code;
    left--;
  }
  return 0;
}

int history_prune (struct vroot *root, struct guest *guest, struct err *err)
{
  autohistoryentry struct history_entry newest = {0};
  autoclose int history_fd = -1;
  autoids struct ids ids = {0};
  autoerr struct err ignored = {0};
  uint64_t keep = 0, kept = 0;

  if (open_history (guest, /* make= */ false, &history_fd, err) < 0 ||
      read_ids (history_fd, &ids, err) < 0)
    return -err->code;
  /* A setting that is wrong is told to those who begin something. */
  if (!ids.count || keep_count (guest, &keep, &ignored) < 0)
    return 0;
  autoclose int newest_fd = open_entry (history_fd, ids.items[ids.count - 1]);
  if (newest_fd >= 0)
    read_entry (newest_fd, ids.items[ids.count - 1], &newest);
  for (size_t i = ids.count; i-- > 0;) {
    autofree char *undo = xasprintf ("%" PRIu64 "/undo", ids.items[i]);

    if (!has (history_fd, undo))
      continue;
    /* A rollback that goes further needs the others. */
    bool wanted = newest.rolls_back_to && ids.items[i] >= newest.rolls_back_to;
    if (kept++ >= keep && !wanted && drop_undo (root, guest, history_fd, ids.items[i], err) < 0)
      return err_wrap (err, "guest %s", guest->name);
  }
  return prune_entries (guest, history_fd, &ids, err) < 0 ? err_wrap (err, "guest %s", guest->name)
                                                          : 0;
}

int history_drop_undo (struct vroot *root, struct guest *guest, size_t *ret_count, struct err *err)
{
  autoclose int history_fd = -1;
  autoids struct ids ids = {0};
  size_t count = 0;

  if (open_history (guest, /* make= */ false, &history_fd, err) < 0 ||
      read_ids (history_fd, &ids, err) < 0)
    return -err->code;
  for (size_t i = 0; i < ids.count; i++) {
    int dropped = drop_undo (root, guest, history_fd, ids.items[i], err);

    if (dropped < 0)
      return err_wrap (err, "guest %s", guest->name);
    count += (size_t) dropped;
  }
  *ret_count = count;
  return 0;
}

int history_add (struct vroot *root, struct guest *guest, const struct history_note *note,
                 uint64_t *ret_id, struct err *err)
{
  autoclose int history_fd = -1, entry_fd = -1, txn_fd = open_txn (guest, err);
  char temp[FD_TEMP_NAME_SIZE];
  uint64_t id = 0;

  fd_temp_name (temp);
  if (txn_fd < 0 || open_history (guest, /* make= */ true, &history_fd, err) < 0 ||
      next_id (guest, history_fd, &id, err) < 0 ||
      make_entry (guest, temp, note, id, &entry_fd, err) < 0)
    return -err->code;
  autofree char *name = xasprintf ("%" PRIu64, id);
  if (fsync (entry_fd) < 0 || fd_rename (txn_fd, temp, history_fd, name, RENAME_NOREPLACE) < 0)
    return err_errno (err, "move an entry to history/%s of guest %s", name, guest->name);
  *ret_id = id;
  return history_prune (root, guest, err);
}
