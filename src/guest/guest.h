/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest: guests/NAME/{config.json,state.json,lock,tree/,private/,work/,txn/,log/}.
 *
 * tree/ is the shared layer, the overlay's lower; private/ the guest's own, its upper. A guest that
 * is not mounted has a clean private: plain files and directories, no whiteouts or other forms of
 * the overlay but the "origin" and "impure" of directories, which say nothing without a mount.
 * base, which only thin guests have, is a link to what their tree lies over: see base.h.
 * Guests are made in staging and renamed into place; deleted by the reverse. */
#ifndef VG_GUEST_GUEST_H
#define VG_GUEST_GUEST_H

#include "guest/names.h"
#include "guest/root.h"
#include "util/lock.h"

enum { GUEST_FORMAT = 1 };

struct guest {
  char *name;          /* owned */
  int fd;              /* owned: guests/NAME */
  int lock_fd;         /* owned; -1 when opened without a lock */
  json_object *config; /* owned: config.json: what the administrator sets */
  json_object *state;  /* owned: state.json: what vguest knows (template, generation, created) */
};

enum guest_access {
  GUEST_PEEK,   /* no lock */
  GUEST_SHARED, /* a shared lock */
  GUEST_LOCKED, /* the exclusive lock; an interrupted change is finished or undone first */
  GUEST_TAKEN,  /* the exclusive lock, to remove or replace it: even a damaged guest, nothing of
                   which is looked at; config and state are NULL */
};

/* Opens the guest; guest_recover runs with GUEST_LOCKED. ERR_NO_GUEST with the nearest names;
 * ERR_LOCKED under root->no_wait. */
int guest_open (struct vroot *root, const char *name, enum guest_access access,
                struct guest **ret_guest, struct err *err);
void guest_close (struct guest *guest);
static inline void cleanup_guest (struct guest **guest)
{
  if (*guest)
    guest_close (*guest);
}
#define autoguest __attribute__ ((cleanup (cleanup_guest)))

/* The names of all guests, sorted. */
int guest_list (struct vroot *root, struct names *ret_names, struct err *err);

/* Makes the empty parts of a guest (directories with their modes, lock, config.json and
 * state.json) in the directory @fd, for the build methods. Neither tree/ nor private/ gets its
 * contents or metadata here. */
int guest_make_parts (int fd, json_object *config, json_object *state, struct err *err);

/* Writes state.json. */
int guest_save_state (struct guest *guest, struct err *err);

/* Writes @config to config.json. A file with comments, which JSON objects do not keep, is kept as
 * config.json.old, and @ret_commented says so. */
int guest_save_config (struct guest *guest, json_object *config, bool *ret_commented,
                       struct err *err);

/* Removes temporary files that a killed vguest left in the guest's directory. The guest is locked
 * exclusively and does not run: its monitor writes there too. */
int guest_sweep (struct guest *guest, struct err *err);

/* Finishes or undoes what a killed vguest left in this guest: a journal in txn/ is carried out, a
 * transaction without one is thrown away, and what a run left in private is folded once all its
 * processes are gone; then an interrupted rename is undone or finished (rename.h). Does only the
 * last while the guest runs. The caller holds the guest's lock exclusively. */
int guest_recover (struct vroot *root, struct guest *guest, struct err *err);

/* The id of the guest's container, running or for a transaction, and of its cgroup; the cgroup of
 * what looks after a running one is that with GUEST_MONITOR_SUFFIX. The caller's string. */
#define GUEST_MONITOR_SUFFIX ".monitor"
char *guest_container_id (const struct vroot *root, const char *name);

/* Waits until all processes of an earlier run are gone, and their mounts with them; EBUSY when that
 * takes longer than half a minute. The guest does not run. */
int guest_wait_gone (struct vroot *root, const char *name, struct err *err);

/* The file in a guest that says that it was started and its private layer not folded since. Made
 * before the first mount, so that it is on the disk before anything changes. */
#define GUEST_RAN "ran"
int guest_mark_ran (struct guest *guest, struct err *err);

/* Is that mark there? 1, 0, or negative. */
int guest_has_run (struct guest *guest, struct err *err);

/* Does the guest run? 1, 0, or negative; one fcntl, no lock is taken. See runtime/live.h. */
int guest_running (struct guest *guest, struct err *err);

/* Refuses (EBUSY) with what to do when the guest runs, or somebody has its overlay mounted; then
 * waits for what an earlier run left to be gone. The caller holds its lock in some mode. */
int guest_refuse_used (struct vroot *root, struct guest *guest, struct err *err);

/* "stopped", "running" or "mounted" (an overlay of this guest is mounted by somebody: seen in
 * /proc/self/mountinfo). Borrowed constant. NULL with @err set. */
const char *guest_state_name (struct vroot *root, struct guest *guest, struct err *err);

#endif
