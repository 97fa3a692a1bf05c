/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The caller's side of a container run. */
#include "container.h"
#include "supervisor.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/strbuf.h"
#include "util/subprocess.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { REPORT_MAX = 64 << 10 };

struct run {
  const struct container *container; /* borrowed */
  pid_t pid;
  int control_fd;
  int *outputs;         /* owned; pipes: the reading ends, two for each command; -1 at the end */
  struct pollfd *polls; /* owned; of control_fd, then of the outputs */
  size_t output_count;
  int lock_fd;
  struct strbuf report;
  unsigned signals; /* already passed on */
  uint64_t last_signal_us;
};

static int block_signals (sigset_t *ret_old, struct err *err)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGHUP);
  sigaddset (&set, SIGALRM);
  if (sigprocmask (SIG_BLOCK, &set, ret_old) < 0)
    return err_errno (err, "block signals");
  return 0;
}

/* Passes new signals on; the second within a second becomes SIGKILL. */
static void forward_signals (struct run *run)
{
  unsigned count = interrupt_count ();

  if (count == run->signals)
    return;
  bool again = run->signals > 0 && clock_seconds_since (run->last_signal_us) < 1.0;
  int number = interrupt_signal () == SIGALRM ? SIGTERM : interrupt_signal ();
  unsigned char byte = again || count > run->signals + 1 ? SIGKILL : (unsigned char) number;
  run->signals = count;
  run->last_signal_us = clock_us ();
  /* When the supervisor is gone the report ends, which is seen elsewhere. */
  if (send (run->control_fd, &byte, 1, MSG_NOSIGNAL) < 0)
    return;
}

/* Reads once. Returns 1, 0 at the end, negative on errors. @at: the index in run->polls. */
static int take (struct run *run, size_t at, struct err *err)
{
  char buffer[16384];
  ssize_t n = read (run->polls[at].fd, buffer, sizeof buffer);

  if (n < 0)
    return errno == EINTR || errno == EAGAIN ? 1 : err_errno (err, "read from the container");
  if (n == 0)
    return 0;
  if (at == 0)
    strbuf_add (&run->report, buffer, (size_t) n);
  else
    run->container->output (run->container->output_data, (at - 1) / 2, (at - 1) % 2 ? 2 : 1, buffer,
                            (size_t) n);
  return 1;
}

/* Until report and output have ended. The three signals are blocked but in ppoll, so that none gets
 * lost between a look at the flag and the wait. */
static int wait_for_report (struct run *run, const sigset_t *unblocked, struct err *err)
{
  size_t count = 1 + run->output_count, open = 0;

  run->polls[0] = (struct pollfd){.fd = run->control_fd, .events = POLLIN};
  for (size_t i = 0; i < run->output_count; i++)
    run->polls[1 + i] = (struct pollfd){.fd = run->outputs[i], .events = POLLIN};
  for (size_t i = 0; i < count; i++)
    open += run->polls[i].fd >= 0;
  while (open) {
    forward_signals (run);
    int n = ppoll (run->polls, count, NULL, unblocked);
    if (n < 0 && errno != EINTR)
      return err_errno (err, "wait for the container");
    for (size_t i = 0; n > 0 && i < count; i++) {
      if (run->polls[i].fd < 0 || !run->polls[i].revents)
        continue;
      int more = take (run, i, err);
      if (more < 0)
        return more;
      if (!more) {
        run->polls[i].fd = -1;
        open--;
      }
    }
  }
  return 0;
}

/* fork into a new pid namespace: unshare would put all our later children there as well. */
static pid_t fork_supervisor (void)
{
  return (pid_t) syscall (SYS_clone, (long) (CLONE_NEWPID | SIGCHLD), 0L, 0L, 0L, 0L);
}

/* The pipes of the commands; a command that is not split has one for both. @ends gets the writing
 * ends. */
static int make_outputs (struct run *run, int *ends, struct err *err)
{
  for (size_t i = 0; i < run->output_count; i++) {
    int pipe[2];

    if (i % 2 && !run->container->commands[i / 2].split) {
      ends[i] = ends[i - 1];
      continue;
    }
    if (pipe2 (pipe, O_CLOEXEC) < 0)
      return err_errno (err, "make a pipe");
    run->outputs[i] = pipe[0];
    ends[i] = pipe[1];
  }
  return 0;
}

static void close_ends (const struct run *run, const int *ends)
{
  for (size_t i = 0; i < run->output_count; i++)
    if (ends[i] >= 0 && !(i % 2 && ends[i] == ends[i - 1]))
      close (ends[i]);
}

static int start (struct run *run, int *control, int *ends, struct err *err)
{
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
    return err_errno (err, "make a socket pair");
  if (make_outputs (run, ends, err) < 0)
    return -err->code;
  fflush (stdout);
  run->pid = fork_supervisor ();
  if (run->pid == 0) {
    close (control[0]);
    for (size_t i = 0; i < run->output_count; i++)
      if (run->outputs[i] >= 0)
        close (run->outputs[i]);
    supervisor_main (run->container, control[1], run->output_count ? ends : NULL, run->lock_fd);
  }
  if (run->pid < 0)
    return err_errno (err, "make a new pid namespace");
  return 0;
}

static int read_report (struct run *run, int wait_status, struct container_result *ret_result,
                        struct err *err)
{
  struct supervisor_report report;

  if (run->report.len < sizeof report) {
    autofree char *end = subprocess_describe (wait_status);

    return err_code (err, ECHILD, "the container's supervisor ended early: %s", end);
  }
  memcpy (&report, run->report.data, sizeof report);
  if (report.code)
    return err_code (err, report.code, "%s", run->report.data + sizeof report);
  *ret_result = report.result;
  return 0;
}

static int run_supervisor (struct run *run, const sigset_t *unblocked,
                           struct container_result *ret_result, struct err *err)
{
  autofree int *ends = xcalloc (run->output_count + 1, sizeof *ends);
  int control[2] = {-1, -1}, status = 0;
  autoerr struct err wait_err = {0};

  for (size_t i = 0; i < run->output_count; i++)
    ends[i] = -1;
  int ret = start (run, control, ends, err);
  autoclose int control_fd = control[0];
  if (control[1] >= 0)
    close (control[1]);
  close_ends (run, ends);
  if (ret < 0)
    return ret;
  run->control_fd = control_fd;
  ret = wait_for_report (run, unblocked, err);
  if (ret < 0)
    kill (run->pid, SIGKILL);
  /* Only when it has been waited for are all processes and mounts of its namespaces gone. */
  if (subprocess_wait (run->pid, &status, &wait_err) < 0 && ret == 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  return ret < 0 ? ret : read_report (run, status, ret_result, err);
}

int container_run (const struct container *container, struct container_result *ret_result,
                   struct err *err)
{
  size_t output_count = container->output ? 2 * container->command_count : 0;
  autofree int *outputs = xcalloc (output_count + 1, sizeof *outputs);
  autofree struct pollfd *polls = xcalloc (output_count + 1, sizeof *polls);
  struct run run = {
      .container = container,
      .control_fd = -1,
      .outputs = outputs,
      .polls = polls,
      .output_count = output_count,
      .lock_fd = -1,
      .report = STRBUF_INIT (REPORT_MAX),
      .signals = interrupt_count (),
  };
  autoclose int lock_fd = -1;
  sigset_t unblocked;

  for (size_t i = 0; i < output_count; i++)
    outputs[i] = -1;
  if (interrupt_check (err) < 0 || cgroup_lock (&lock_fd, err) < 0 ||
      block_signals (&unblocked, err) < 0)
    return -err->code;
  run.lock_fd = lock_fd;
  int ret = run_supervisor (&run, &unblocked, ret_result, err);
  sigprocmask (SIG_SETMASK, &unblocked, NULL);
  for (size_t i = 0; i < output_count; i++)
    if (outputs[i] >= 0)
      close (outputs[i]);
  strbuf_release (&run.report);
  return ret;
}
