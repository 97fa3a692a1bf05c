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
  const char *path;      /* the directory in the guest */
  const char *lists_dir; /* of the host: brought in before; or NULL */
  bool empty;            /* what the guest has in the directory is not for others */
};

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

/* One of several. */
struct attempt {
  const struct fetch *fetch;
  const struct pkg_commands *commands;
};

/* The row is the group's leader in both calls. */
static int prepare (void *data, struct guest *guest, struct err *err)
{
  const struct attempt *attempt = data;
  const struct fetch *fetch = attempt->fetch;

  if (fetch->lists_dir && bulk_bring_lists (fetch->bulk, fetch->group->leader, guest, err) < 0)
    return -err->code;
  return pkg_layer_catch (guest, fetch->path, fetch->empty, err);
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
  return pkg_layer_take (guest, fetch->path, fetch->bulk->staging.fd, fetch->group->dir, err);
}

static int fetch_once (const struct fetch *fetch, enum pkg_step step, size_t row, unsigned tries,
                       struct err *err)
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

  pkg_commands_start (fetch->bulk, row, &commands);
  if (!pkg_commands_add (&commands, step))
    return err_code (err, EINVAL, "the driver has no command for this");
  if (pkg_commands_run (&commands, &run, &result, err) < 0)
    return -err->code;
  meaning = pkg_commands_meaning (&commands, &result, &at);
  if (meaning == PKG_OK || meaning == PKG_NOTHING)
    return 0;
  int again = pkg_commands_retry (&commands, tries, meaning, err);
  return again ? again : pkg_commands_fail (&commands, &result, at, err);
}

static int fetch (const struct fetch *fetch, enum pkg_step step, size_t row, struct err *err)
{
  int ret;

  for (unsigned tries = 0; (ret = fetch_once (fetch, step, row, tries, err)) > 0; tries++)
    ;
  return ret;
}

int task_refresh (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err)
{
  struct fetch what = {
      .bulk = bulk, .group = group, .path = bulk->report->rows[row].driver->lists_dir};

  event_step ("refresh", -1);
  /* Where the request itself is the refresh, it has the user's own options. */
  return fetch (&what, bulk->works[row].request->refresh ? PKG_APPLY : PKG_REFRESH, row, err);
}

int task_download (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err)
{
  const struct pkg_driver *driver = bulk->report->rows[row].driver;
  int lists = bulk->works[row].lists;
  struct fetch what = {
      .bulk = bulk,
      .group = group,
      .path = driver->cache_dir,
      .lists_dir = lists == NO_GROUP ? NULL : bulk->lists.items[lists].dir,
      .empty = true,
  };

  event_step ("download", -1);
  return fetch (&what, PKG_DOWNLOAD, row, err);
}
