/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is fetched in one guest for all of the same state: metadata, and packages where the manager
 * does not tell which. The guest's package manager verifies it, in a transaction that is thrown
 * away; what it left in one directory is kept by the host. */
#include "commands.h"
#include "pkg/layer.h"
#include "util/fd.h"

struct fetch {
  struct bulk *bulk;
  const struct bulk_group *group;
  size_t row;
  enum pkg_step step;
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

static int prepare (void *data, struct guest *guest, struct err *err)
{
  const struct attempt *attempt = data;
  const struct fetch *fetch = attempt->fetch;
  const struct pkg_driver *driver = driver_of (fetch);

  if (fetch->step != PKG_DOWNLOAD)
    return pkg_layer_catch (guest, driver->lists_dir, /* empty= */ false, err);
  if (bulk_bring_lists (fetch->bulk, fetch->row, guest, err) < 0)
    return -err->code;
  if (driver->cache_suffix)
    return bulk_bring_cache (fetch->bulk, fetch->row, guest, err);
  /* What the guest has there is not for others. */
  return pkg_layer_catch (guest, driver->cache_dir, /* empty= */ true, err);
}

static int take (const struct fetch *fetch, struct guest *guest, struct err *err)
{
  const struct pkg_driver *driver = driver_of (fetch);
  int staging_fd = fetch->bulk->staging.fd;
  const char *name = fetch->group->dir;

  if (fetch->step != PKG_DOWNLOAD)
    return pkg_layer_take (guest, driver->lists_dir, staging_fd, name, err);
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

int task_refresh (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err)
{
  /* Where the request itself is the refresh, it has the user's own options. */
  enum pkg_step step = bulk->works[row].request->refresh ? PKG_APPLY : PKG_REFRESH;
  const struct fetch what = {bulk, group, row, step};

  event_step ("refresh", -1);
  return fetch (&what, err);
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
  const struct fetch only = {bulk, group, row, PKG_DOWNLOAD};
  int cache = bulk->works[row].cache;

  event_step ("download", -1);
  if (!driver_of (&only)->cache_suffix)
    return fetch (&only, err);
  for (size_t i = row; i < bulk->count; i++) {
    const struct fetch what = {bulk, group, i, PKG_DOWNLOAD};

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
