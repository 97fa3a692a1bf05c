/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* apt-get in many guests, one after another; failures stay in their guest.
 *
 * A stopped guest is upgraded in a transaction; a running one in its namespaces, or offline: see
 * run.h. */
#ifndef VG_PKG_BULK_H
#define VG_PKG_BULK_H

#include "pkg/apt.h"

enum bulk_outcome {
  BULK_SKIPPED,     /* not begun: a signal came before */
  BULK_DONE,        /* committed; or, for read-only requests, run */
  BULK_UNCHANGED,   /* it succeeded, and no package changed */
  BULK_FAILED,      /* the guest is as before */
  BULK_LOCKED,      /* somebody else has it, and we were not to wait */
  BULK_INTERRUPTED, /* by a signal: the guest is as before */
};

/* How the guest was found, and so how the request is run. */
enum bulk_mode { BULK_STOPPED, BULK_RUNNING, BULK_OFFLINE };

struct bulk_row {
  const char *name; /* borrowed from the names */
  enum bulk_outcome outcome;
  enum bulk_mode mode;
  int exit_status;        /* apt-get's; -1 when it did not run to its end */
  uint64_t packages;      /* whose version or state changed */
  uint64_t written_bytes; /* committed, before unification, by blocks */
  uint64_t shared_bytes;  /* of those, given back by unification */
  uint64_t waiting_files; /* of a running guest: shared when it stops */
  uint64_t waiting_bytes;
  uint64_t milliseconds;
  uint64_t unshared_files; /* could not be unified because of an error */
  char *log;               /* owned; path, or NULL */
  char *reason;            /* owned; why it failed, or NULL */
};

struct bulk_report {
  struct bulk_row *rows; /* owned; in the order of the names */
  size_t count;
};
void bulk_report_release (struct bulk_report *report);
#define autobulkreport __attribute__ ((cleanup (bulk_report_release)))

enum bulk_refresh { BULK_REFRESH_IF_NONE, BULK_REFRESH_ALWAYS, BULK_REFRESH_NEVER };

struct bulk_options {
  const struct apt_request *request;
  enum bulk_refresh refresh;
  bool offline;      /* running guests are stopped for it, and started again */
  bool pass_through; /* read-only requests: output goes to this process's stdout and stderr */

  /* May be NULL. @tail tells what a failed run wrote last: (data, row, line) for each line. */
  void (*on_start) (void *data, size_t index, const char *name);
  void (*on_note) (void *data, const char *name, const char *text);
  void (*on_line) (void *data, const char *name, const char *line);
  void (*on_end) (void *data, size_t index, const struct bulk_row *row);
  void (*on_tail) (void *data, const char *name, const char *line);
  void *data;
};

/* Runs the request in the guests @names. Errors of a guest are in its row; this call itself does
 * not fail. After a signal the rest is skipped. */
void bulk_run (struct vroot *root, const struct names *names, const struct bulk_options *options,
               struct bulk_report *ret_report);

/* Fills @err for the whole, as the exit statuses want it: 0 when all is done; ERR_INTERRUPTED;
 * ERR_LOCKED when nothing but locks was in the way; ERR_SOME_FAILED; ERR_NOTHING when nothing
 * changed anywhere and the request is one that changes packages. */
int bulk_conclude (const struct bulk_report *report, const struct apt_request *request,
                   struct err *err);

/* "stopped", "running", "offline": as in JSON. */
const char *bulk_mode_name (enum bulk_mode mode);

/* "done", "unchanged", …: as in tables and JSON. */
const char *bulk_outcome_name (enum bulk_outcome outcome);

#endif
