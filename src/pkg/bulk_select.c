/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The phase lock: guests are opened and locked, and their package managers found. */
#include "bulk_internal.h"
#include "pkg/find.h"
#include "pkg/lookup.h"
#include "util/fd.h"
#include "util/interrupt.h"

enum { LOCK_FILE_MAX = 1 << 20 };

/* The request for guests of @driver, made when it is first asked for. */
static int find_request (struct bulk *bulk, const struct pkg_driver *driver,
                         const struct pkg_request **ret_request, struct err *err)
{
  size_t i = 0;

  while (pkg_drivers[i] != driver)
    i++;
  if (!bulk->has_request[i] && bulk->options->make_request (bulk->options->request_data, driver,
                                                            &bulk->requests[i], err) < 0)
    return -err->code;
  bulk->has_request[i] = true;
  *ret_request = &bulk->requests[i];
  return 0;
}

/* Nobody holds the lock of a guest in which nothing runs. What a manager that was killed has left
 * half done is for its administrator to see. */
static int refuse_left_lock (struct guest *guest, const struct pkg_driver *driver, struct err *err)
{
  autopkglayers struct pkg_layers layers = {0};
  autofree char *text = NULL;
  size_t len;

  if (!driver->lock_file)
    return 0;
  if (pkg_layers_open (guest, &layers, err) < 0)
    return -err->code;
  int left = pkg_lookup_file (layers.fds, layers.count, driver->lock_file, LOCK_FILE_MAX, &text,
                              &len, err);
  if (left < 0)
    return left;
  if (left)
    return err_code (err, EBUSY,
                     "/%s was left by a %s that was killed; look at the package database, and "
                     "remove it: vguest %s exec -- rm /%s",
                     driver->lock_file, driver->name, guest->name, driver->lock_file);
  return 0;
}

static int look_at (struct bulk *bulk, size_t index, struct err *err)
{
  struct bulk_row *row = &bulk->report->rows[index];
  struct bulk_work *work = &bulk->works[index];

  if (guest_open (bulk->root, row->name, GUEST_LOCKED, &work->guest, err) < 0)
    return -err->code;
  int running = guest_running (work->guest, err);
  if (running < 0)
    return running;
  row->mode = !running ? BULK_STOPPED : bulk->options->offline ? BULK_OFFLINE : BULK_RUNNING;
  if (!running && guest_refuse_used (bulk->root, work->guest, err) < 0)
    return -err->code;
  if (pkg_find (work->guest, bulk->options->driver, bulk->options->program, &row->driver,
                &work->program, err) < 0 ||
      find_request (bulk, row->driver, &work->request, err) < 0)
    return -err->code;
  if (!running && refuse_left_lock (work->guest, row->driver, err) < 0)
    return -err->code;
  if (!bulk->options->check) {
    if (runlog_open (bulk->root, work->guest, work->program, NULL, NULL, &work->log, err) < 0)
      return -err->code;
    row->log = xstrdup (work->log.path);
    runlog_note (&work->log, "%s", bulk->options->title);
  }
  if (!running &&
      pkg_state_read (bulk->root, &bulk->states, work->guest, row->driver, &work->state, err) < 0)
    return -err->code;
  return 0;
}

void bulk_lock (struct bulk *bulk)
{
  bulk_tell_phase (bulk, "lock");
  for (size_t i = 0; i < bulk->count; i++) {
    autoerr struct err err = {0};

    if (interrupt_pending ())
      return;
    if (look_at (bulk, i, &err) < 0)
      bulk_end_row (bulk, i, &err);
  }
}
