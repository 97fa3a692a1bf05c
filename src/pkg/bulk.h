/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A package manager's request in many guests; failures stay in their guest.
 *
 * All guests of the selection go through a phase before the next one begins:
 *
 *   lock        all of them, in the order of names, until each is finished
 *   refresh     metadata of repositories, once for all guests in the same state (state.h)
 *   plan        is the package database sane, and what would change? Once for each state as well
 *   space       is there enough for the downloads and what runs at the same time?
 *   download    each file once, by hash, into the host's cache (download.h)
 *   apply       several at once, canaries first: each stopped guest in a transaction that sees
 *               metadata and packages in a lower layer (layer.h), then verified; committed, folded
 *               and unified, or thrown away
 *
 * A running guest is changed in its namespaces, with its own downloads, and nothing is undone
 * there; or offline: see run.h. */
#ifndef VG_PKG_BULK_H
#define VG_PKG_BULK_H

#include "pkg/driver.h"

/* Packages that no run wanted for so long leave the cache. */
enum { BULK_CACHE_DAYS = 14 };

enum bulk_outcome {
  BULK_SKIPPED,     /* not begun: a signal, a canary or too many failures came before */
  BULK_DONE,        /* committed */
  BULK_UNCHANGED,   /* it succeeded, and no package changed */
  BULK_PENDING,     /* options.check: it would change packages */
  BULK_FAILED,      /* the guest is as before */
  BULK_LOCKED,      /* somebody else has it, and we were not to wait */
  BULK_INTERRUPTED, /* by a signal: the guest is as before */
};

/* How the guest was found, and so how the request is run. */
enum bulk_mode { BULK_STOPPED, BULK_RUNNING, BULK_OFFLINE };

struct bulk_row {
  const char *name;                /* borrowed from the names */
  const struct pkg_driver *driver; /* NULL: it failed before it was known */
  enum bulk_outcome outcome;
  enum bulk_mode mode;
  const char *phase;          /* in which it is, or ended: "lock", "refresh", "plan", … */
  int exit_status;            /* the manager's; -1 when it did not run to its end */
  bool planned;               /* plan is known */
  struct pkg_changes plan;    /* owned; what would change */
  struct pkg_changes changes; /* owned; what has changed */
  struct names conffiles;     /* owned; paths of new versions left beside changed ones */
  struct names restart;       /* owned; programs of a running guest that still use old files */
  uint64_t written_bytes;     /* committed, before unification, by blocks */
  uint64_t shared_bytes;      /* of those, given back by unification */
  uint64_t waiting_files;     /* of a running guest: shared when it stops */
  uint64_t waiting_bytes;
  uint64_t unshared_files; /* could not be unified because of an error */
  uint64_t milliseconds;   /* of the apply phase */
  uint64_t transaction;    /* its number in the guest's history, or 0 */
  bool kept_failed;        /* it failed, and its layer is kept for a look */
  char *log;               /* owned; path, or NULL */
  char *reason;            /* owned; why it failed, or NULL */
};

struct bulk_report {
  struct bulk_row *rows; /* owned; in the order of the names */
  size_t count;
  uint64_t refreshes;        /* how often metadata was fetched */
  uint64_t plans;            /* how many states were asked */
  uint64_t downloaded_files; /* by the host */
  uint64_t downloaded_bytes;
  uint64_t cached_files; /* that were there already */
  uint64_t cached_bytes;
  uint64_t milliseconds;
};
void bulk_report_release (struct bulk_report *report);
#define autobulkreport __attribute__ ((cleanup (bulk_report_release)))

enum bulk_refresh { BULK_REFRESH_IF_NONE, BULK_REFRESH_ALWAYS, BULK_REFRESH_NEVER };

struct bulk_options {
  /* The driver of all guests, and the name by which it was called ("yum"), which is looked for
   * before its other programs; NULL: each guest's own. */
  const struct pkg_driver *driver;
  const char *program;
  /* Makes the request for guests of @driver; called once for each. ERR_USAGE. */
  int (*make_request) (void *data, const struct pkg_driver *driver, struct pkg_request *ret_request,
                       struct err *err);
  void *request_data;
  const char *title; /* for logs: "apt-get upgrade" */

  enum bulk_refresh refresh;
  bool check;             /* stop behind the plan */
  bool offline;           /* running guests are stopped for it, and started again */
  bool keep_failed;       /* keep the layer of one that failed: see guest/failed.h */
  unsigned jobs;          /* guests at the same time; at least 1 */
  struct names canary;    /* owned by the caller; guests that come first */
  unsigned canary_count;  /* or so many, the first ones */
  unsigned max_fail;      /* start no more behind so many failures; 0: no limit */
  bool max_fail_percent;  /* it is a percentage of the guests */
  unsigned timeout;       /* seconds for each step of one guest; 0: none */
  unsigned retries;       /* of network errors and locks of the package manager */
  const char *selections; /* answers for debconf-set-selections, or NULL */

  /* What happens, for those who watch; each may be NULL. @index is the row's. */
  void (*on_phase) (void *data, const char *phase, size_t guests);
  void (*on_plan) (void *data, const struct bulk_report *report);
  void (*on_start) (void *data, size_t index);
  void (*on_note) (void *data, const char *guests, const char *text); /* @guests may be NULL */
  void (*on_line) (void *data, size_t index, const char *line);
  void (*on_step) (void *data, size_t index, const char *phase, int percent); /* -1: not known */
  void (*on_download) (void *data, uint64_t done, uint64_t total, uint64_t per_second);
  void (*on_end) (void *data, size_t index, const struct bulk_row *row);
  void (*on_tail) (void *data, size_t index, const char *line); /* the end of a failed one's log */
  void *data;
};

/* Runs the request in the guests @names. Errors of a guest are in its row. Negative only when
 * nothing could be done at all: @ret_report is set all the same. After a signal the rest is
 * skipped. */
int bulk_run (struct vroot *root, const struct names *names, const struct bulk_options *options,
              struct bulk_report *ret_report, struct err *err);

/* Fills @err for the whole, as the exit statuses want it: 0 when all is done; ERR_INTERRUPTED;
 * ERR_LOCKED when nothing but locks was in the way; ERR_SOME_FAILED; ERR_NOTHING when nothing
 * changed anywhere and the requests are ones that change packages. */
int bulk_conclude (const struct bulk_report *report, bool may_do_nothing, struct err *err);

/* "stopped", "running", "offline": as in JSON. */
const char *bulk_mode_name (enum bulk_mode mode);

/* "done", "unchanged", …: as in tables and JSON. */
const char *bulk_outcome_name (enum bulk_outcome outcome);

#endif
