/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transactions of a guest.
 *
 *   guests/NAME/history/ID/entry.json  what it was; ids count up
 *   guests/NAME/history/ID/undo/       what brings back the state before it (tree/undo.h), of the
 *                                      last ones: as many as the setting keep_transactions says
 *   guests/NAME/txn/entry/             the next one: it becomes history/ID together with the commit
 *
 * An entry comes into being with its commit, at one moment, and so does what a rollback does to the
 * entry that it undoes. Everything that is removed is moved to txn/ first, which recovery clears:
 * an undo layer that is there is whole. The caller holds the guest's lock exclusively, but for
 * history_read. */
#ifndef VG_GUEST_HISTORY_H
#define VG_GUEST_HISTORY_H

#include "guest/guest.h"

enum { HISTORY_FORMAT = 1, HISTORY_ENTRIES_MAX = 100, HISTORY_PACKAGES_MAX = 4000 };

enum history_mode {
  HISTORY_STOPPED, /* in a transaction */
  HISTORY_OFFLINE, /* in one for which a running guest was stopped and started again */
  HISTORY_RUNNING, /* in place, in the running guest */
};

struct history_package {
  const char *name;
  const char *old_version; /* NULL: was not installed */
  const char *new_version; /* NULL: is not any more */
};

/* What the caller knows of a transaction; all is borrowed. */
struct history_note {
  const char *what; /* "apt-get upgrade": the tool and its arguments */
  enum history_mode mode;
  bool failed;     /* nothing was changed, but by commands in a running guest */
  bool minor;      /* nothing that anybody would undo: there is no undo layer, and rollbacks of what
                      was before pass over it */
  const char *log; /* path of a file in the guest's log/, or NULL */
  uint64_t written_bytes;
  uint64_t milliseconds;                  /* how long it took */
  uint64_t packages_changed;              /* how many */
  const struct history_package *packages; /* which, as far as that is known */
  size_t package_count;
  uint64_t undoes;        /* of a rollback: the entry that it undoes; else 0 */
  uint64_t rolls_back_to; /* of a rollback: the last one that is to be undone, <= undoes */
};

struct history_entry {
  uint64_t id;
  char *time; /* owned; UTC, "2026-01-31T12:00:00Z" */
  char *what; /* owned */
  enum history_mode mode;
  bool failed;
  bool minor;
  char *log; /* owned; "log/NAME", in the guest's directory; or NULL */
  uint64_t written_bytes;
  uint64_t milliseconds;
  uint64_t packages_changed;
  json_object *packages; /* owned; [{"name", "old", "new"}], or NULL */
  uint64_t undoes;
  uint64_t rolls_back_to;
  uint64_t rolled_back_by; /* the entry that undid it, or 0 */
  bool has_undo;
  bool pending; /* accepted, and committed when the guest stops */
};

struct history {
  struct history_entry *items; /* owned; by id */
  size_t count;
};

void history_release (struct history *history);
#define autohistory __attribute__ ((cleanup (history_release)))

/* All entries. Takes no lock: what is removed meanwhile is left out. */
int history_read (struct guest *guest, struct history *ret_history, struct err *err);

/* The entry @id, or NULL. */
const struct history_entry *history_find (const struct history *history, uint64_t id);

/* A command for struct history_note: the tool and its arguments, NULL-terminated, quoted for a
 * shell where that is needed. The caller's string. */
char *history_what (const char *tool, const char *const *args);

/* "stopped", "offline", "running": as in entry.json and output. */
const char *history_mode_name (enum history_mode mode);

/* Did it change anything that counts? Not when it failed, but in a running guest, or is minor. */
bool history_has_effect (const struct history_entry *entry);

/* For transactions: makes txn/entry, with an undo layer of the layer txn/upper unless the setting
 * is 0 or the note minor, and tells the id that it will have. */
int history_prepare (struct guest *guest, const struct history_note *note, uint64_t *ret_id,
                     struct err *err);

/* The id that txn/entry will have; 0 when there is none. */
int history_prepared (struct guest *guest, uint64_t *ret_id, struct err *err);

/* Once the journal is written: txn/entry becomes an entry, and the undo layer of what it undoes, a
 * part of the guest then, goes. Can be repeated. */
int history_publish (struct vroot *root, struct guest *guest, struct err *err);

/* Removes the undo layers that the setting does not ask for, oldest first, and entries beyond
 * HISTORY_ENTRIES_MAX. */
int history_prune (struct vroot *root, struct guest *guest, struct err *err);

/* Removes all undo layers: nothing can be rolled back any more. @ret_count: how many there were. */
int history_drop_undo (struct vroot *root, struct guest *guest, size_t *ret_count, struct err *err);

/* An entry without an undo layer, at once: of commands in a running guest, or that failed. */
int history_add (struct vroot *root, struct guest *guest, const struct history_note *note,
                 uint64_t *ret_id, struct err *err);

/* The entry's directory, with its undo layer; the caller's, or negative. */
int history_open (struct guest *guest, uint64_t id, struct err *err);

/* Moves @name of @dir_fd to txn/ and removes it there. A missing one is no error. */
int history_discard (struct guest *guest, int dir_fd, const char *name, struct err *err);

/* entry.json of a note, without an id, with the time that it is now; the caller's. */
json_object *history_note_json (const struct history_note *note);

/* The list of packages in it; the caller's. */
json_object *history_packages_json (const struct history_package *packages, size_t count);

/* Takes entry.json apart, as far as it is readable: a damaged one must not keep the others from
 * being seen. has_undo and rolled_back_by are left 0. */
void history_entry_parse (json_object *object, struct history_entry *ret_entry);
void history_entry_release (struct history_entry *entry);
#define autohistoryentry __attribute__ ((cleanup (history_entry_release)))

#endif
