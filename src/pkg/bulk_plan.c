/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The phases in which one guest is asked for all of the same state. */
#include "bulk_internal.h"
#include "pkg/find.h"
#include "util/interrupt.h"

/* The group of @key, made with the row as its leader when it is the first; with @alone always. */
static int join_group (struct bulk_groups *groups, const struct digest *key,
                       const struct pkg_driver *driver, size_t row, bool alone)
{
  for (size_t i = 0; i < groups->count && !alone; i++)
    if (groups->items[i].driver == driver && digest_equal (&groups->items[i].key, key)) {
      groups->items[i].members++;
      return (int) i;
    }
  groups->items = xreallocarray (groups->items, groups->count + 1, sizeof groups->items[0]);
  groups->items[groups->count] = (struct bulk_group){
      .driver = driver,
      .leader = row,
      .members = 1,
      .start = NO_GROUP,
  };
  if (!alone)
    groups->items[groups->count].key = *key;
  return (int) groups->count++;
}

/* Which group of a row the phase is about. */
static int *group_of (struct bulk_work *work, const struct bulk *bulk,
                      const struct bulk_groups *groups)
{
  return groups == &bulk->lists   ? &work->lists
         : groups == &bulk->plans ? &work->plan
                                  : &work->cache;
}

/* What went wrong in the leader went wrong for all members: each in its own words of it. */
static void fail_group (struct bulk *bulk, struct bulk_groups *groups, int number,
                        const struct err *cause)
{
  struct bulk_group *group = &groups->items[number];
  const char *leader = bulk->report->rows[group->leader].name;

  group->failed = true;
  for (size_t i = 0; i < bulk->count; i++) {
    autoerr struct err err = {0};

    if (!bulk_is_open (bulk, i) || *group_of (&bulk->works[i], bulk, groups) != number)
      continue;
    if (i == group->leader)
      err_code (&err, cause->code, "%s", err_text (cause));
    else
      err_code (&err, cause->code, "%s (in %s, for all in the same state)", err_text (cause),
                leader);
    if (bulk->works[i].log.fd >= 0)
      runlog_note (&bulk->works[i].log, "%s; the guest is as before", err_text (&err));
    bulk_end_row (bulk, i, &err);
  }
}

/* Runs @run in the leader of each group: of those that begin with what another one has shared, when
 * they are @late, or of the others. */
static void ask_leaders (struct bulk *bulk, struct bulk_groups *groups, bool late,
                         int (*run) (struct bulk *bulk, size_t row, const struct bulk_group *group,
                                     struct err *err),
                         void (*end) (struct bulk *bulk, const struct bulk_task *task,
                                      json_object *result, const struct err *err))
{
  autofree struct bulk_task *items = xcalloc (groups->count + 1, sizeof *items);
  struct bulk_tasks tasks = {.items = items, .run = run, .end = end};
  autoerr struct err err = {0};

  for (size_t i = 0; i < groups->count; i++)
    if ((groups->items[i].start != NO_GROUP) == late)
      items[tasks.count++] =
          (struct bulk_task){groups->items[i].leader, &groups->items[i], (int) i};
  if (bulk_run_tasks (bulk, &tasks, &err) < 0 && err.code != ERR_INTERRUPTED)
    for (size_t i = 0; i < tasks.count; i++)
      fail_group (bulk, groups, items[i].number, &err);
}

/* Has the guest's program a command for the step? */
static bool has_command (const struct bulk *bulk, size_t index, enum pkg_step step)
{
  const struct bulk_work *work = &bulk->works[index];
  const struct pkg_target target = {.program = work->program, .machine_id = bulk->machine_id};
  autonames struct names words = {0};

  return bulk->report->rows[index].driver->command (step, work->request, &target, &words);
}

/* Must metadata be fetched for it? 1, 0 or negative. */
static int wants_refresh (const struct bulk *bulk, size_t index, struct err *err)
{
  const struct bulk_work *work = &bulk->works[index];
  const struct pkg_request *request = work->request;
  const struct pkg_driver *driver = bulk->report->rows[index].driver;

  if (!driver->lists_dir || bulk->options->refresh == BULK_REFRESH_NEVER)
    return 0;
  bool always = bulk->options->refresh == BULK_REFRESH_ALWAYS;
  if (request->no_refresh && always)
    return err_code (err, ERR_USAGE, "no metadata is fetched for this: %s", request->no_refresh);
  if (request->refresh)
    return 1;
  if (!(request->refresh_first || request->needs_lists || always) ||
      !has_command (bulk, index, PKG_REFRESH))
    return 0;
  if (request->refresh_first || always)
    return 1;
  int has = pkg_has_lists (work->guest, driver, err);
  if (has == 0 && request->no_refresh)
    return err_code (err, ENOENT,
                     "the guest has no metadata of repositories, and none is fetched "
                     "for this: %s",
                     request->no_refresh);
  return has < 0 ? has : !has;
}

static void end_refresh (struct bulk *bulk, const struct bulk_task *task, json_object *result,
                         const struct err *err)
{
  (void) result;
  if (err->code)
    fail_group (bulk, &bulk->lists, task->number, err);
  else
    bulk->report->refreshes++;
}

/* What is said of many guests, once for all. */
struct note {
  const char *text;
  struct names guests; /* owned */
};

static void note (struct bulk *bulk, size_t index, struct note *note)
{
  if (bulk->works[index].log.fd >= 0)
    runlog_note (&bulk->works[index].log, "%s", note->text);
  names_add (&note->guests, bulk->report->rows[index].name);
}

static void tell (struct bulk *bulk, struct note *note)
{
  autofree char *brief = names_brief (&note->guests);

  if (note->guests.count && bulk->options->on_note)
    bulk->options->on_note (bulk->options->data, brief, note->text);
  names_release (&note->guests);
}

/* Puts the row, which is open, into the group of those for whom metadata is fetched together. */
static void join_refresh (struct bulk *bulk, size_t index, struct note *own, struct note *none)
{
  struct bulk_row *row = &bulk->report->rows[index];
  struct bulk_work *work = &bulk->works[index];
  const struct pkg_request *request = work->request;
  enum bulk_refresh when = bulk->options->refresh;
  autoerr struct err err = {0};
  int wants = wants_refresh (bulk, index, &err);

  if (wants < 0)
    bulk_end_row (bulk, index, &err);
  if (wants <= 0)
    return;
  if (row->mode != BULK_STOPPED && bulk->options->check && request->refresh_first &&
      when != BULK_REFRESH_ALWAYS) {
    note (bulk, index, own);
    return;
  }
  if (!request->refresh && !request->refresh_first && when == BULK_REFRESH_IF_NONE)
    note (bulk, index, none);
  /* A running guest keeps its own; where it is asked for that itself, it is not asked twice. */
  work->refreshes = row->mode != BULK_STOPPED;
  if (work->refreshes && request->refresh)
    return;
  work->lists =
      join_group (&bulk->lists, &work->state.fetches, row->driver, index, work->refreshes);
}

static bool has_same_sources (const struct bulk *bulk, size_t a, size_t b)
{
  const struct bulk_group *first = &bulk->lists.items[a], *second = &bulk->lists.items[b];

  return first->dir && second->dir && first->driver == second->driver &&
         digest_equal (&bulk->works[first->leader].state.sources,
                       &bulk->works[second->leader].state.sources);
}

/* Of groups with the same sources the first one fetches, and shares with the others what can be
 * verified. */
static void join_sources (struct bulk *bulk)
{
  struct bulk_group *groups = bulk->lists.items;

  for (size_t i = 0; i < bulk->lists.count; i++)
    for (size_t k = 0; k < i && groups[i].driver->share_lists; k++)
      if (groups[k].start == NO_GROUP && has_same_sources (bulk, k, i)) {
        groups[i].start = (int) k;
        if (!groups[k].shared)
          groups[k].shared = xasprintf ("shared-%zu", k);
        break;
      }
}

void bulk_refresh (struct bulk *bulk)
{
  struct note own = {"running, and nothing is fetched in it for a check: as its own metadata tells",
                     {0}};
  struct note none = {"without package lists: they are fetched first", {0}};

  for (size_t i = 0; i < bulk->count; i++)
    if (bulk_is_open (bulk, i))
      join_refresh (bulk, i, &own, &none);
  tell (bulk, &own);
  tell (bulk, &none);
  for (size_t i = 0; i < bulk->lists.count; i++)
    if (!bulk->works[bulk->lists.items[i].leader].refreshes)
      bulk->lists.items[i].dir = xasprintf ("lists-%zu", i);
  if (!bulk->lists.count)
    return;
  join_sources (bulk);
  bulk_tell_phase (bulk, "refresh");
  ask_leaders (bulk, &bulk->lists, /* late= */ false, task_refresh, end_refresh);
  if (!interrupt_pending ())
    ask_leaders (bulk, &bulk->lists, /* late= */ true, task_refresh, end_refresh);
}

static int read_plan (struct bulk *bulk, int number, json_object *result, struct err *err)
{
  struct bulk_group *group = &bulk->plans.items[number];
  json_object *changes = NULL, *files = NULL;

  if (!result || !json_object_object_get_ex (result, "files", &files))
    return err_code (err, EIO, "the plan did not come");
  if (pkg_files_from_json (files, &group->files, err) < 0)
    return -err->code;
  if (!json_object_object_get_ex (result, "changes", &changes))
    return 0;
  for (size_t i = 0; i < bulk->count; i++) {
    struct bulk_row *row = &bulk->report->rows[i];

    if (!bulk_is_open (bulk, i) || bulk->works[i].plan != number)
      continue;
    row->planned = true;
    if (pkg_changes_from_json (changes, &row->plan, err) < 0)
      return -err->code;
  }
  return 0;
}

static void end_plan (struct bulk *bulk, const struct bulk_task *task, json_object *result,
                      const struct err *cause)
{
  autoerr struct err err = {0};

  bulk->report->plans++;
  if (cause->code)
    fail_group (bulk, &bulk->plans, task->number, cause);
  else if (read_plan (bulk, task->number, result, &err) < 0)
    fail_group (bulk, &bulk->plans, task->number, &err);
}

/* Upgrades of what needs none are finished here. */
static void end_idle (struct bulk *bulk)
{
  for (size_t i = 0; i < bulk->count; i++) {
    struct bulk_row *row = &bulk->report->rows[i];
    struct bulk_work *work = &bulk->works[i];

    if (!bulk_is_open (bulk, i) || !row->planned || row->plan.count || !work->request->idle ||
        (work->lists != NO_GROUP && row->driver->keep_lists) || bulk->options->check)
      continue;
    row->outcome = BULK_UNCHANGED;
    row->exit_status = 0;
    runlog_note (&work->log, "nothing to do");
    bulk_end_row (bulk, i, NULL);
  }
}

void bulk_plan (struct bulk *bulk)
{
  for (size_t i = 0; i < bulk->count; i++) {
    struct bulk_row *row = &bulk->report->rows[i];
    struct bulk_work *work = &bulk->works[i];
    if (!bulk_is_open (bulk, i) || work->request->refresh)
      continue;
    /* All of one state have got the same metadata. */
    work->plan =
        join_group (&bulk->plans, &work->state.all, row->driver, i, row->mode != BULK_STOPPED);
  }
  if (!bulk->plans.count)
    return;
  bulk_tell_phase (bulk, "plan");
  ask_leaders (bulk, &bulk->plans, /* late= */ false, task_plan, end_plan);
  if (!interrupt_pending ())
    end_idle (bulk);
}

static void end_download (struct bulk *bulk, const struct bulk_task *task, json_object *result,
                          const struct err *err)
{
  (void) result;
  if (err->code)
    fail_group (bulk, &bulk->caches, task->number, err);
}

static bool wants_download (const struct bulk *bulk, size_t index)
{
  const struct bulk_row *row = &bulk->report->rows[index];
  const struct bulk_work *work = &bulk->works[index];

  return bulk_is_open (bulk, index) && row->driver->cache_dir && row->mode == BULK_STOPPED &&
         work->plan != NO_GROUP && work->request->needs_lists &&
         !(row->planned && !row->plan.count) && has_command (bulk, index, PKG_DOWNLOAD);
}

static int join_cache (struct bulk *bulk, struct bulk_groups *groups, size_t index)
{
  static const struct digest any = {{0}};
  const struct pkg_driver *driver = bulk->report->rows[index].driver;
  struct bulk_work *work = &bulk->works[index];

  work->cache = join_group (groups, driver->cache_suffix ? &any : &work->state.all, driver, index,
                            /* alone= */ false);
  return work->cache;
}

/* Where a manager does not tell what it would download, it downloads in one guest for others: for
 * all of the same state, or whatever their state is where each checks what it finds. With a single
 * one there is nothing to gain. */
void bulk_manager_downloads (struct bulk *bulk)
{
  autofree size_t *wants = xcalloc (bulk->count + 1, sizeof *wants);
  struct bulk_groups all = {0};
  size_t used = 0;

  for (size_t i = 0; i < bulk->count; i++)
    if (wants_download (bulk, i))
      wants[used++] = i;
  for (size_t i = 0; i < used; i++)
    join_cache (bulk, &all, wants[i]);
  for (size_t i = 0; i < used; i++) {
    int *cache = &bulk->works[wants[i]].cache;

    *cache = all.items[*cache].members > 1 ? join_cache (bulk, &bulk->caches, wants[i]) : NO_GROUP;
  }
  free (all.items);
  for (size_t i = 0; i < bulk->caches.count; i++)
    bulk->caches.items[i].dir = xasprintf ("cache-%zu", i);
  if (!bulk->caches.count)
    return;
  bulk_tell_phase (bulk, "download");
  ask_leaders (bulk, &bulk->caches, /* late= */ false, task_download, end_download);
}
