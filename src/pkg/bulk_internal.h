/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the bulk engine. Private to this room.
 *
 * What is done in one guest, or in one for a group, is a task: it runs in a child process
 * (util/jobs.h) that has the locked guest from its parent, and tells by lines on its standard
 * output what happens (events.h). */
#ifndef VG_PKG_BULK_INTERNAL_H
#define VG_PKG_BULK_INTERNAL_H

#include "pkg/bulk.h"
#include "pkg/download.h"
#include "pkg/events.h"
#include "pkg/runlog.h"
#include "pkg/state.h"
#include "store/identity.h"

enum { NO_GROUP = -1 };

/* Guests that get one answer. */
struct bulk_group {
  struct digest key;
  const struct pkg_driver *driver;
  size_t leader; /* the row whose guest is asked */
  size_t members;
  bool failed;            /* its members are */
  char *dir;              /* owned; the directory of bulk.staging that it filled, or NULL */
  char *shared;           /* owned; another one, with lists that others begin with, or NULL */
  int start;              /* of lists: the group whose shared ones it begins with, or NO_GROUP */
  struct pkg_files files; /* owned; of a plan: to be downloaded */
  size_t first_file;      /* and those of bulk.files that the host downloads */
  size_t file_count;
};

/* What the engine keeps for a row. */
struct bulk_work {
  struct guest *guest;               /* owned; open and locked until the row is finished */
  const char *program;               /* borrowed from the driver or the options */
  struct runlog log;                 /* owned */
  const struct pkg_request *request; /* borrowed from bulk.requests */
  struct pkg_state state;            /* of the stopped guest */
  bool finished;                     /* nothing more is done for it */
  int lists;                         /* groups: which metadata it gets; NO_GROUP */
  int plan;                          /* and which plan */
  int cache;                         /* and which downloads of a manager */
  uint64_t start_us;                 /* of its last task */
  bool refreshes;                    /* by itself, as it runs */
};

struct bulk_groups {
  struct bulk_group *items; /* owned */
  size_t count;
};

struct bulk {
  struct vroot *root;
  const struct bulk_options *options;
  struct bulk_report *report;
  struct bulk_work *works; /* owned; as many as rows */
  size_t count;
  struct pkg_request *requests; /* owned; one for each driver of pkg_drivers */
  bool *has_request;            /* owned */
  struct staging staging;       /* owned: refreshed metadata, downloads of managers */
  struct pkgcache *cache;       /* owned; or NULL */
  struct pkgcache_file *files;  /* owned; of all plans */
  size_t file_count;
  struct pkg_states states; /* owned */
  char machine_id[33];
  struct bulk_groups lists;
  struct bulk_groups plans;
  struct bulk_groups caches;
};

/* One guest to work on, for itself or for a group. */
struct bulk_task {
  size_t row;
  const struct bulk_group *group; /* or NULL */
  int number;                     /* the group's */
};

struct bulk_tasks {
  const struct bulk_task *items;
  size_t count;
  bool (*may_begin) (struct bulk *bulk); /* another one; NULL: always */
  /* In the child. */
  int (*run) (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err);
  /* In the parent; @result may be NULL and is borrowed. */
  void (*end) (struct bulk *bulk, const struct bulk_task *task, json_object *result,
               const struct err *err);
};

/* bulk_jobs.c: runs them, options.jobs at once. Negative when the machinery failed, or a signal
 * came. */
int bulk_run_tasks (struct bulk *bulk, const struct bulk_tasks *tasks, struct err *err);

/* bulk_select.c: opens, locks and looks at the guests. Sets rows failed that cannot be. */
void bulk_lock (struct bulk *bulk);

/* bulk_plan.c: the phases refresh, plan, and downloads by managers. */
void bulk_refresh (struct bulk *bulk);
void bulk_plan (struct bulk *bulk);
void bulk_manager_downloads (struct bulk *bulk);

/* bulk_download.c */
int bulk_check_space (struct bulk *bulk, struct err *err);
int bulk_download (struct bulk *bulk, struct err *err);

/* bulk_apply.c */
void bulk_apply (struct bulk *bulk);

/* bulk.c: the end of a row. @err NULL: as row->outcome says already. Gives the lock back. */
void bulk_end_row (struct bulk *bulk, size_t index, const struct err *err);
/* Is anything left to do for it? */
static inline bool bulk_is_open (const struct bulk *bulk, size_t index)
{
  return !bulk->works[index].finished;
}
void bulk_tell_phase (struct bulk *bulk, const char *phase);

/* What runs in the children: task_fetch.c (refresh, download), task_plan.c and task_apply.c. @group
 * is the one for which the guest of @row is asked. */
int task_refresh (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err);
int task_download (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err);
int task_plan (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err);
/* Brings the metadata of the row's group into txn/layer; nothing to do where it has none. */
int bulk_bring_lists (struct bulk *bulk, size_t row, struct guest *guest, struct err *err);
/* And the packages that a manager has downloaded for it. */
int bulk_bring_cache (struct bulk *bulk, size_t row, struct guest *guest, struct err *err);
int task_apply (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err);

#endif
