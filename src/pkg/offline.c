/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on a running guest while it is stopped, undone when it does not come up again. */
#include "run_internal.h"
#include "guest/quota.h"
#include "guest/space.h"
#include "runtime/health.h"
#include "util/clock.h"
#include "util/interrupt.h"

struct offline {
  struct vroot *root;
  struct guest *guest;
  const struct run_options *options;
  void (*on_phase) (void *data, const char *phase);
  void *phase_data;
  struct run_result *result;
};

static void phase (struct offline *offline, const char *name)
{
  if (offline->on_phase)
    offline->on_phase (offline->phase_data, name);
}

static int stop_guest (struct offline *offline, bool discard, struct err *err)
{
  struct live_stop_options options = {.timeout = -1, .discard = discard};
  autounifyreport struct unify_report report = {0};

  return live_stop (offline->root, offline->guest, &options, &report, err);
}

static int start_guest (struct offline *offline, bool trial, struct err *err)
{
  struct live_start_options options = {.console_fd = -1, .trial = trial};

  return live_start (offline->root, offline->guest, &options, err);
}

/* Starts the guest on the layer, and decides. */
static int try_layer (struct offline *offline, struct err *err)
{
  const struct run_options *options = offline->options;
  autosettings struct settings settings = {0};
  struct history_note note;

  if (options->note)
    run_note (options, HISTORY_OFFLINE, offline->result, &note);
  if (settings_parse (offline->guest->config, offline->guest->name, &settings, err) < 0 ||
      transaction_keep (offline->guest, options->note ? &note : NULL, &offline->result->history_id,
                        err) < 0)
    return -err->code;
  phase (offline, "start");
  if (start_guest (offline, /* trial= */ true, err) < 0)
    return -err->code;
  phase (offline, "health");
  if (health_wait (offline->root, offline->guest, &settings, err) < 0)
    return -err->code;
  uint64_t start = clock_us ();
  if (transaction_accept (offline->guest, err) < 0)
    return -err->code;
  offline->result->commit_us = clock_us () - start;
  offline->result->committed = true;
  return 0;
}

/* The guest as it was, running again. The caller's error @cause stays what is told first. */
static int roll_back (struct offline *offline, int ret, struct err *err)
{
  autoerr struct err own = {0};

  phase (offline, "roll back");
  int interrupt = interrupt_set_aside ();
  bool undone = stop_guest (offline, /* discard= */ true, &own) == 0 &&
                run_undo (offline->root, offline->guest, offline->options, HISTORY_OFFLINE,
                          /* failed= */ ret < 0, offline->result, &own) == 0 &&
                start_guest (offline, /* trial= */ false, &own) == 0;
  interrupt_put_back (interrupt);
  if (undone)
    return ret;
  if (ret < 0)
    return err_wrap (err, "the guest could not be started as it was before (%s), after",
                     err_text (&own));
  return err_code (err, own.code, "the guest could not be started as it was before: %s",
                   err_text (&own));
}

int run_offline (struct vroot *root, struct guest *guest, const struct run_options *options,
                 void (*on_phase) (void *data, const char *phase), void *phase_data,
                 struct run_result *ret_result, struct err *err)
{
  struct offline offline = {
      .root = root,
      .guest = guest,
      .options = options,
      .on_phase = on_phase,
      .phase_data = phase_data,
      .result = ret_result,
  };

  *ret_result = (struct run_result){0};
  if (space_check (root, 0, "begin a transaction", err) < 0)
    return -err->code;
  phase (&offline, "stop");
  if (stop_guest (&offline, /* discard= */ false, err) < 0)
    return -err->code;
  phase (&offline, "apply");
  int ret = transaction_begin (root, guest, err);
  if (ret == 0)
    ret = quota_apply (root, guest, err);
  if (ret == 0)
    ret = run_layer (root, guest, options, ret_result, err);
  if (ret == 0 && !ret_result->container.failed)
    ret = try_layer (&offline, err);
  return ret_result->committed ? 0 : roll_back (&offline, ret, err);
}
