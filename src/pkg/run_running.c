/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands in a guest that runs. */
#include "run.h"
#include "runtime/session.h"
#include "unify/running.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/reflink.h"
#include <time.h>

/* The time that files get which are written from now on: the kernel's coarse clock, which may be a
 * tick behind. */
static void file_time (struct timespec *ret_now)
{
  clock_gettime (CLOCK_REALTIME_COARSE, ret_now);
}

struct session_output {
  const struct run_options *options;
  size_t command;
};

static void pass_output (void *data, int stream, const char *bytes, size_t len)
{
  const struct session_output *output = data;

  output->options->output (output->options->output_data, output->command, stream, bytes, len);
}

static int run_sessions (struct vroot *root, struct guest *guest, const struct run_options *options,
                         struct container_result *result, struct err *err)
{
  autoliveinfo struct live_info info = {0};

  if (live_info_read (root, guest, &info, err) < 0)
    return -err->code;
  for (size_t i = 0; i < options->command_count; i++) {
    struct session_output output = {options, i};
    struct session_options session = {
        .command = &options->commands[i],
        .stdin_fd = options->stdin_fd,
        .output = options->output ? pass_output : NULL,
        .output_data = &output,
    };

    result->commands++;
    enum container_verdict verdict = CONTAINER_AGAIN;
    for (int tries = 0; verdict == CONTAINER_AGAIN && tries < CONTAINER_TRIES; tries++) {
      if (session_run (root, guest, &info, &session, &result->status, err) < 0 ||
          interrupt_check (err) < 0)
        return -err->code;
      verdict = !result->status  ? CONTAINER_GOOD
                : options->judge ? options->judge (options->judge_data, i, result->status)
                                 : CONTAINER_FAILED;
    }
    if (i < CONTAINER_STATUSES)
      result->statuses[i] = result->status;
    result->failed = verdict == CONTAINER_FAILED;
    if (result->failed)
      break;
  }
  return 0;
}

/* Counts, and where the file system can shares, what was written since @since. */
static int share_news (struct vroot *root, struct guest *guest, const struct timespec *since,
                       struct unify_report *report, struct err *err)
{
  autopolicy struct policy policy = {0};
  int kept = transaction_kept (guest, err);

  if (kept < 0 || policy_load (guest->fd, &policy, err) < 0)
    return -err->code;
  autoclose int txn_fd = fd_open_dir (guest->fd, "txn");
  autoclose int upper = fd_open_dir_beneath (guest->fd, kept ? "txn/upper" : "private");
  if (txn_fd < 0 || upper < 0)
    return err_errno (err, "open the layers of guest %s", guest->name);
  autoclose int temp_fd = fd_make_dir (txn_fd, "temp", 0700);
  if (temp_fd < 0)
    return err_errno (err, "make txn/temp of guest %s", guest->name);
  int reflink = reflink_probe (temp_fd, err);
  if (reflink < 0 ||
      unify_running (root->store, &policy, upper, temp_fd, reflink > 0, since, report, err) < 0)
    return -err->code;
  return fd_remove_tree (txn_fd, "temp", err);
}

int run_in_running_guest (struct vroot *root, struct guest *guest,
                          const struct run_options *options, struct run_result *ret_result,
                          struct err *err)
{
  struct timespec since;

  *ret_result = (struct run_result){.in_place = true};
  file_time (&since);
  int ret = run_sessions (root, guest, options, &ret_result->container, err);
  if (options->discard || options->query || ret < 0)
    return ret;
  /* Also when the last command failed: what was written is there. What cannot be shared is no
   * failure of theirs. */
  if (share_news (root, guest, &since, &ret_result->report, err) < 0)
    unify_report_fail (&ret_result->report, err);
  ret_result->written_bytes = ret_result->report.waiting_bytes;
  return 0;
}
