/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on one guest. A stopped one: as a transaction: begin, run in a container, commit when
 * they succeed, throw away when they fail or a signal came. A running one: in its namespaces, where
 * nothing is undone; or offline: stopped, as a transaction, and started on the new layer, which is
 * thrown away when the guest does not come up. */
#ifndef VG_PKG_RUN_H
#define VG_PKG_RUN_H

#include "guest/failed.h"
#include "guest/transaction.h"
#include "runtime/container.h"

struct run_options {
  const struct bundle_command *commands; /* run one after another until one fails */
  size_t command_count;
  enum container_verdict (*judge) (void *data, size_t command, int status); /* see container.h */
  void *judge_data;
  bool discard; /* throw the layer away even when they succeed */
  bool query;   /* a stopped guest: no transaction, but a layer in memory that goes with them */
  /* Of a transaction: what the guest's history says of it once it is committed; read behind accept.
   * mode, failed, written_bytes and, where it is 0, milliseconds are filled in here. NULL: nothing,
   * and it cannot be undone. */
  const struct history_note *note;
  bool keep_failed; /* keep the layer when it fails: see guest/failed.h; with a note */
  bool login;       /* these three: see container.h */
  bool joined;
  bool terminal;
  int stdin_fd; /* -1: /dev/null */
  /* Of a transaction: directories in the guest whose files are copied up before the commands run,
   * see pkg_driver.write_paths; NULL-terminated, or NULL. */
  const char *const *write_paths;
  const struct bundle_bind *binds; /* see container.h; not in running guests */
  size_t bind_count;
  void (*output) (void *data, size_t command, int stream, const char *bytes,
                  size_t len); /* see container.h */
  void *output_data;

  /* Of a transaction; each may be NULL. @prepare: it has begun, the caller may fill txn/layer.
   * @accept: the commands have succeeded and nothing is mounted; negative: it is thrown away. */
  int (*prepare) (void *data, struct guest *guest, struct err *err);
  int (*accept) (void *data, struct guest *guest, const struct container_result *result,
                 struct err *err);
  void *hook_data;
};

struct run_result {
  struct container_result container;
  bool committed;         /* offline: the guest came up on the layer, which is its own now */
  bool in_place;          /* they ran in the running guest: nothing is undone */
  bool unfinished;        /* the commit failed behind its journal: the next command finishes it */
  bool kept_failed;       /* they failed, and the layer is kept */
  char *keep_error;       /* owned; or why it could not be, or NULL */
  uint64_t history_id;    /* the number in the guest's history (history.h), or 0 */
  uint64_t written_bytes; /* what the layer held before the commit, by blocks */
  uint64_t commit_us;
  struct unify_report report; /* owned; of the commit */
};

void run_result_release (struct run_result *result);
#define autorunresult __attribute__ ((cleanup (run_result_release)))

/* Runs them on @guest, which is open GUEST_LOCKED. A command that fails is no error of this call:
 * see ret_result->container.failed; the guest is as before then. On errors the guest is as before
 * as well, unless the text says that the commit is to be finished. ERR_INTERRUPTED after a signal:
 * @ret_result is set then as far as it goes. */
int run_in_guest (struct vroot *root, struct guest *guest, const struct run_options *options,
                  struct run_result *ret_result, struct err *err);

/* The middle of run_in_guest: runs them on the layer of a transaction that was begun; it is the
 * caller's to commit or abort. */
int run_layer (struct vroot *root, struct guest *guest, const struct run_options *options,
               struct run_result *ret_result, struct err *err);

/* A look at what failed: runs them above the failed layer of @guest (guest/failed.h), which is open
 * GUEST_LOCKED and stopped, and throws away whatever they change. ENOENT when none is kept. */
int run_in_failed (struct vroot *root, struct guest *guest, const struct run_options *options,
                   struct run_result *ret_result, struct err *err);

/* The same as run_in_guest for @guest when it runs, in its namespaces; with options->discard
 * nothing is looked for afterwards. result.report tells in waiting what is shared when the guest
 * stops, and in reflinked what shares its blocks already. */
int run_in_running_guest (struct vroot *root, struct guest *guest,
                          const struct run_options *options, struct run_result *ret_result,
                          struct err *err);

/* The same for a running guest: stops it, runs the commands in a transaction, starts it on the
 * transaction's layer and waits until it has come up (runtime/health.h). When the commands fail, a
 * signal comes, or the guest does not come up, it is started as it was before: @err tells then also
 * when that failed. @on_phase, which may be NULL, is told "stop", "apply", "start", "health",
 * "roll back". */
int run_offline (struct vroot *root, struct guest *guest, const struct run_options *options,
                 void (*on_phase) (void *data, const char *phase), void *phase_data,
                 struct run_result *ret_result, struct err *err);

#endif
