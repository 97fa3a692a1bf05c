/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state root: the one directory, on one file system, that holds everything.
 *
 *   root.json    {"format": 1, "id": "…"}: written when the root is made
 *   lock         held shared by every command that changes something, exclusive while it is made
 *   store/ templates/ guests/ cache/ staging/ aside/
 *   gc-…         the collection of unused objects: see collect.h
 *
 * aside/ keeps guests that `build --force` replaced. Everything is built in a directory of its own
 * below staging/, whose maker holds a flock on it: a staging directory that can be locked belongs
 * to nobody any more and is removed by the next command that opens the root for writing.
 *
 * The run directory holds what does not outlive a boot: /run/vguest for the default root, and
 * /run/vguest/@ID for others. */
#ifndef VG_GUEST_ROOT_H
#define VG_GUEST_ROOT_H

#include "store/store.h"
#include "util/json.h"
#include "util/lock.h"
#include "util/strbuf.h"

enum { ROOT_FORMAT = 1 };
#define ROOT_DEFAULT "/var/lib/vguest"

struct vroot {
  char *path;            /* owned; absolute */
  int fd;                /* owned */
  int lock_fd;           /* owned; -1 when opened for reading */
  int templates_fd;      /* owned */
  int guests_fd;         /* owned */
  int staging_fd;        /* owned */
  int aside_fd;          /* owned */
  struct store *store;   /* owned */
  char *run_path;        /* owned; made when first asked for by root_run_dir */
  char *id;              /* owned; 16 hex digits, made with the root */
  bool no_wait;          /* locks: fail instead of waiting */
  unsigned wait_seconds; /* locks: fail after so long; 0: never */
  void (*on_wait) (const char *what, const char *holder); /* may be NULL */
  void (*on_warning) (const char *text);                  /* may be NULL */
};

/* The file for LOCK_RANK_COLLECT, in the root. */
#define ROOT_COLLECT_LOCK "gc-lock"

/* How a lock of this root is taken. */
static inline struct lock_how root_lock_how (const struct vroot *root, enum lock_rank rank,
                                             enum lock_mode mode)
{
  return (struct lock_how){.rank = rank,
                           .mode = mode,
                           .no_wait = root->no_wait,
                           .seconds = root->wait_seconds,
                           .on_wait = root->on_wait};
}

struct vroot_options {
  const char *path; /* from --root; NULL: $VGUEST_ROOT, vguest.conf, ROOT_DEFAULT */
  bool write;       /* take the root lock shared, sweep staging, collect when wanted */
  bool existing;    /* ENOENT instead of making it */
  bool no_wait;
  unsigned wait_seconds;
  void (*on_wait) (const char *what, const char *holder);
  void (*on_warning) (const char *text); /* told what does not end the command */
};

/* Opens the root, making it on first use (0700): then hard links, trusted.* attributes and
 * overlayfs are probed there. Errors: ERR_USAGE for a newer format; EXDEV when a part of it is on
 * another file system; EOPNOTSUPP when the file system lacks something, with what and where. */
int root_open (const struct vroot_options *options, struct vroot **ret_root, struct err *err);
void root_close (struct vroot *root);
static inline void cleanup_root (struct vroot **root)
{
  if (*root)
    root_close (*root);
}
#define autoroot __attribute__ ((cleanup (cleanup_root)))

/* Makes and returns the run directory (0711). Borrowed. NULL with @err set. */
const char *root_run_dir (struct vroot *root, struct err *err);

/* Is the directory @path a state root, of whatever host, or in one? 1, 0 or negative. */
int root_is_above (const char *path, struct err *err);

/* Takes the root lock, shared, and sweeps staging: what root_open does for writing, but without the
 * collection of unused objects. The root was opened for reading. */
int root_lock (struct vroot *root, struct err *err);

/* A locked directory below staging/. */
struct staging {
  struct vroot *root; /* borrowed; NULL when empty */
  char name[64];
  int fd; /* owned; the lock */
};

/* The kind of those that hold objects which are being collected: a sweep puts back what is in use.
 */
#define STAGING_GC "gc"

/* Makes one; @kind ("import", "clone", …) starts its name. */
int staging_make (struct vroot *root, const char *kind, struct staging *ret_staging,
                  struct err *err);

/* Removes it with everything left in it and gives the lock back. Takes an empty one. */
int staging_remove (struct staging *staging, struct err *err);

/* Gives the lock back and leaves the directory to the next sweep. */
void staging_leave (struct staging *staging);

/* For autostaging: removes and forgets errors; the next command sweeps what is left. */
void staging_drop (struct staging *staging);
#define autostaging __attribute__ ((cleanup (staging_drop)))

/* Removes staging directories that nobody holds. Called by root_open. */
int staging_sweep (struct vroot *root, struct err *err);

#endif
