/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is the package database sane, and what would the request change? Nothing is changed by asking. */
#include "commands.h"
#include "pkg/layer.h"

/* @ret_planned: the guest's program can tell what it would change. */
static int run_queries (struct bulk *bulk, size_t row, struct pkg_commands *commands,
                        bool *ret_planned, struct err *err)
{
  const struct pkg_request *request = bulk->works[row].request;
  const struct pkg_driver *driver = bulk->report->rows[row].driver;
  autorunresult struct run_result result = {0};
  struct run_options run = {.query = true};
  size_t at = 0;

  if (!request->repairs)
    pkg_commands_add (commands, PKG_AUDIT);
  if (request->plans) {
    if (!driver->read_installed)
      pkg_commands_add (commands, PKG_INSTALLED);
    *ret_planned = pkg_commands_add (commands, PKG_PLAN);
    if (bulk->report->rows[row].mode != BULK_RUNNING)
      pkg_commands_add (commands, PKG_URIS);
  }
  if (!commands->count)
    return 0;
  if (pkg_commands_run (commands, &run, &result, err) < 0)
    return -err->code;
  enum pkg_meaning meaning = pkg_commands_meaning (commands, &result, &at);
  if (meaning == PKG_OK || meaning == PKG_NOTHING)
    return 0;
  return pkg_commands_fail (commands, &result, at, err);
}

/* The plans of some managers tell new versions only. */
static int complete_changes (struct guest *guest, const struct pkg_driver *driver,
                             const struct pkg_commands *commands, struct pkg_changes *changes,
                             struct err *err)
{
  autopkgpackages struct pkg_packages installed = {0};

  if (!changes->count || (!driver->read_installed && !driver->parse_installed))
    return 0;
  if (pkg_commands_installed (commands, guest, /* first= */ false, &installed, err) < 0)
    return -err->code;
  pkg_changes_complete (changes, &installed, driver->plans_news);
  return 0;
}

/* {"changes": […], "files": […]}; changes only where they can be told. */
static int tell_plan (struct bulk *bulk, size_t row, const struct pkg_commands *commands,
                      bool planned, struct err *err)
{
  const struct pkg_driver *driver = bulk->report->rows[row].driver;
  const struct bulk_work *work = &bulk->works[row];
  autopkgchanges struct pkg_changes changes = {0};
  autopkgfiles struct pkg_files files = {0};
  autojson json_object *result = json_object_new_object ();
  size_t plan_len, uris_len;
  const char *plan = pkg_commands_text (commands, PKG_PLAN, &plan_len);
  const char *uris = pkg_commands_text (commands, PKG_URIS, &uris_len);

  if (planned && driver->parse_plan) {
    if (driver->parse_plan (plan, plan_len, &changes, err) < 0 ||
        complete_changes (work->guest, driver, commands, &changes, err) < 0)
      return -err->code;
    json_put (result, "changes", pkg_changes_json (&changes));
  }
  if (driver->parse_uris && driver->parse_uris (uris, uris_len, &files, err) < 0)
    return -err->code;
  json_put (result, "files", pkg_files_json (&files));
  event_result (result);
  return 0;
}

int task_plan (struct bulk *bulk, size_t row, const struct bulk_group *group, struct err *err)
{
  autopkgcommands struct pkg_commands commands = {0};
  struct guest *guest = bulk->works[row].guest;
  bool stopped = bulk->report->rows[row].mode == BULK_STOPPED, planned = false;
  autoerr struct err end_err = {0};

  (void) group;
  event_step ("plan", -1);
  pkg_commands_start (bulk, row, &commands);
  int ret = stopped ? bulk_bring_lists (bulk, row, guest, err) : 0;
  if (ret == 0)
    ret = run_queries (bulk, row, &commands, &planned, err);
  if (stopped && pkg_layer_remove (guest, &end_err) < 0 && ret == 0)
    ret = err_code (err, end_err.code, "%s", err_text (&end_err));
  if (ret < 0)
    return ret;
  return tell_plan (bulk, row, &commands, planned, err);
}
