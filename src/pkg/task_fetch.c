/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is fetched in one guest for all of the same state: metadata, and packages where the manager
 * does not tell which. The guest's package manager verifies it, in a transaction that is thrown
 * away; what it left in one directory is kept by the host. */
#include "commands.h"
#include "pkg/layer.h"
#include "util/fd.h"
#include "util/interrupt.h"

struct fetch {
  struct bulk *bulk;
  const struct bulk_group *group;
  size_t row;
  enum pkg_step step;
  int start_fd; /* borrowed; lists of others with which it begins, or -1 */
};

static const struct pkg_driver *driver_of (const struct fetch *fetch)
{
  return fetch->bulk->report->rows[fetch->row].driver;
}

int bulk_bring_lists (struct bulk *bulk, size_t row, struct guest *guest, struct err *err)
{
  const struct bulk_work *work = &bulk->works[row];
  const char *dir = work->lists == NO_GROUP ? NULL : bulk->lists.items[work->lists].dir;

  if (!dir)
    return 0;
  autoclose int fd = fd_open_dir (bulk->staging.fd, dir);
  if (fd < 0)
    return err_errno (err, "open staging/%s/%s", bulk->staging.name, dir);
  return pkg_layer_replace (guest, bulk->report->rows[row].driver->lists_dir, fd, err);
}

int bulk_bring_cache (struct bulk *bulk, size_t row, struct guest *guest, struct err *err)
{
  const struct pkg_driver *driver = bulk->report->rows[row].driver;
  const struct bulk_work *work = &bulk->works[row];
  const char *dir = work->cache == NO_GROUP ? NULL : bulk->caches.items[work->cache].dir;
  autoclose int fd = dir ? fd_open_dir (bulk->staging.fd, dir) : -1;

  /* Nothing was downloaded yet, or could be. */
  if (fd < 0 && (!dir || (errno == ENOENT && driver->cache_suffix)))
    return 0;
  if (fd < 0)
    return err_errno (err, "open staging/%s/%s", bulk->staging.name, dir);
  return driver->cache_suffix ? pkg_layer_add (guest, driver->cache_dir, fd, err)
                              : pkg_layer_replace (guest, driver->cache_dir, fd, err);
}

/* One of several. */
struct attempt {
  const struct fetch *fetch;
  const struct pkg_commands *commands;
};

/* In the layer, which has a copy of the guest's own lists. */
static int start_lists (const struct fetch *fetch, struct guest *guest, struct err *err)
{
  const struct pkg_driver *driver = driver_of (fetch);
  autofree char *path = xasprintf ("txn/upper/%s", driver->lists_dir);
  autoclose int fd = fd_open_dir_beneath (guest->fd, path);

  if (fd < 0)
    return err_errno (err, "open %s of guest %s", path, guest->name);
  if (driver->start_lists (fetch->start_fd, fd, err) < 0)
    return err_wrap (err, "guest %s: %s", guest->name, path);
  return 0;
}

static int prepare (void *data, struct guest *guest, struct err *err)
{
  const struct attempt *attempt = data;
  const struct fetch *fetch = attempt->fetch;
  const struct pkg_driver *driver = driver_of (fetch);

  if (fetch->step != PKG_DOWNLOAD) {
    if (pkg_layer_catch (guest, driver->lists_dir, /* empty= */ false, err) < 0)
      return -err->code;
    return fetch->start_fd < 0 ? 0 : start_lists (fetch, guest, err);
  }
  if (bulk_bring_lists (fetch->bulk, fetch->row, guest, err) < 0)
    return -err->code;
  if (driver->cache_suffix)
    return bulk_bring_cache (fetch->bulk, fetch->row, guest, err);
  /* What the guest has there is not for others. */
  return pkg_layer_catch (guest, driver->cache_dir, /* empty= */ true, err);
}

static int take_lists (const struct fetch *fetch, struct guest *guest, struct err *err)
{
  const struct pkg_driver *driver = driver_of (fetch);
  int staging_fd = fetch->bulk->staging.fd;
  const char *name = fetch->group->dir;
  autoerr struct err removing = {0};

  if (pkg_layer_take (guest, driver->lists_dir, staging_fd, name, err) < 0)
    return -err->code;
  if (fetch->start_fd < 0)
    return 0;
  autoclose int fd = fd_open_dir (staging_fd, name);
  if (fd < 0)
    return err_errno (err, "open the directory %s", name);
  if (driver->end_lists (fetch->start_fd, fd, err) == 0)
    return 0;
  return fd_remove_tree (staging_fd, name, &removing) < 0 ? err_wrap (err, "%s", removing.msg)
                                                          : -err->code;
}

static int take (const struct fetch *fetch, struct guest *guest, struct err *err)
{
  const struct pkg_driver *driver = driver_of (fetch);
  int staging_fd = fetch->bulk->staging.fd;
  const char *name = fetch->group->dir;

  if (fetch->step != PKG_DOWNLOAD)
    return take_lists (fetch, guest, err);
  if (!driver->cache_suffix)
    return pkg_layer_take (guest, driver->cache_dir, staging_fd, name, err);
  autoclose int fd = fd_make_dir (staging_fd, name, 0755);
  if (fd < 0)
    return err_errno (err, "make the directory %s", name);
  return pkg_layer_take_packages (guest, driver->cache_dir, driver->cache_suffix, fd, err);
}

/* Of a command that failed by what it printed alone, nothing is kept. */
static int accept (void *data, struct guest *guest, const struct container_result *result,
                   struct err *err)
{
  const struct attempt *attempt = data;
  const struct fetch *fetch = attempt->fetch;
  const struct run_result now = {.container = *result};
  size_t at = 0;
  enum pkg_meaning meaning = pkg_commands_meaning (attempt->commands, &now, &at);

  if (meaning != PKG_OK && meaning != PKG_NOTHING)
    return 0;
  return take (fetch, guest, err);
}

static int fetch_once (const struct fetch *fetch, unsigned tries, struct err *err)
{
  autopkgcommands struct pkg_commands commands = {0};
  autorunresult struct run_result result = {0};
  struct attempt attempt = {fetch, &commands};
  struct run_options run = {
      .discard = true,
      .prepare = prepare,
      .accept = accept,
      .hook_data = &attempt,
  };
  enum pkg_meaning meaning;
  size_t at = 0;

  pkg_commands_start (fetch->bulk, fetch->row, &commands);
  if (!pkg_commands_add (&commands, fetch->step))
    return err_code (err, EINVAL, "the driver has no command for this");
  if (pkg_commands_run (&commands, &run, &result, err) < 0)
    return -err->code;
  meaning = pkg_commands_meaning (&commands, &result, &at);
  if (meaning == PKG_OK || meaning == PKG_NOTHING)
    return 0;
  int again = pkg_commands_retry (&commands, tries, meaning, err);
  return again ? again : pkg_commands_fail (&commands, &result, at, err);
}

static int fetch (const struct fetch *fetch, struct err *err)
{
  int ret;

  for (unsigned tries = 0; (ret = fetch_once (fetch, tries, err)) > 0; tries++)
    ;
  return ret;
}

/* Makes of what was fetched what other groups begin with. That it cannot be done is their loss
 * alone. */
static void share_lists (const struct fetch *fetch)
{
  const struct bulk_group *group = fetch->group;
  int staging_fd = fetch->bulk->staging.fd;
  struct runlog *log = &fetch->bulk->works[fetch->row].log;
  autoclose int from = fd_open_dir (staging_fd, group->dir);
  autoclose int to = fd_make_dir (staging_fd, group->shared, 0755);
  autoerr struct err err = {0};
  size_t count = 0;

  if (from < 0 || to < 0)
    runlog_note (log, "no lists are shared: %s", strerror (errno));
  else if (driver_of (fetch)->share_lists (from, to, &count, &err) < 0)
    runlog_note (log, "not all lists are shared: %s", err_text (&err));
  else
    runlog_note (log, "%zu lists are verified for guests with the same sources", count);
}

/* A try that begins with the lists that another group has shared. 1, 0 when the group is to fetch
 * for itself, or negative: whatever others gave it must not make it fail. */
static int fetch_started (const struct fetch *fetch, struct err *err)
{
  const struct bulk *bulk = fetch->bulk;
  const struct bulk_group *group = fetch->group;
  const struct bulk_group *other =
      group->start == NO_GROUP ? NULL : &bulk->lists.items[group->start];
  autoclose int fd = other && !other->failed ? fd_open_dir (bulk->staging.fd, other->shared) : -1;
  struct fetch what = *fetch;

  if (fd < 0)
    return 0;
  what.start_fd = fd;
  if (fetch_once (&what, bulk->options->retries, err) == 0)
    return 1;
  if (interrupt_check (err) < 0 || err->code == ERR_INTERRUPTED)
    return -err->code;
  runlog_note (&bulk->works[fetch->row].log, "with the lists of %s: %s; without them",
               bulk->report->rows[other->leader].name, err_text (err));
  err_release (err);
  return 0;
}

int task_refresh (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err)
{
  /* Where the request itself is the refresh, it has the user's own options. */
  enum pkg_step step = bulk->works[row].request->refresh ? PKG_APPLY : PKG_REFRESH;
  const struct fetch what = {bulk, group, row, step, -1};

  event_step ("refresh", -1);
  int started = fetch_started (&what, err);
  if (started < 0)
    return started;
  if (!started && fetch (&what, err) < 0)
    return -err->code;
  if (group->shared)
    share_lists (&what);
  return 0;
}

static bool same_text (const char *a, const char *b)
{
  return a && b ? strcmp (a, b) == 0 : a == b;
}

/* Do two plans bring the same packages? In the same order, as managers tell them sorted. */
static bool covers (const struct bulk *bulk, size_t other, size_t row)
{
  const struct pkg_changes *a = &bulk->report->rows[other].plan;
  const struct pkg_changes *b = &bulk->report->rows[row].plan;

  if (bulk->works[other].plan == bulk->works[row].plan)
    return true;
  if (!bulk->report->rows[row].planned || !bulk->report->rows[other].planned ||
      a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp (a->items[i].name, b->items[i].name) != 0 ||
        !same_text (a->items[i].new_version, b->items[i].new_version))
      return false;
  return true;
}

/* Was everything downloaded for a row before? */
static bool is_covered (const struct bulk *bulk, int cache, size_t row)
{
  for (size_t i = 0; i < row; i++)
    if (bulk->works[i].cache == cache && covers (bulk, i, row))
      return true;
  return false;
}

/* With a suffix in one guest for each plan, one after another, as far as there is more to get. It
 * is done in advance: what cannot be had is left to each guest, which fails then by itself. */
int task_download (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err)
{
  const struct fetch only = {bulk, group, row, PKG_DOWNLOAD, -1};
  int cache = bulk->works[row].cache;

  event_step ("download", -1);
  if (!driver_of (&only)->cache_suffix)
    return fetch (&only, err);
  for (size_t i = row; i < bulk->count; i++) {
    const struct fetch what = {bulk, group, i, PKG_DOWNLOAD, -1};

    if (bulk->works[i].cache != cache || is_covered (bulk, cache, i))
      continue;
    if (fetch (&what, err) == 0)
      continue;
    if (err->code == ERR_INTERRUPTED)
      return -err->code;
    event_note (err_text (err));
    err_release (err);
    break;
  }
  return 0;
}
