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
  int output_fd;
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
  unsigned char byte =
      again || count > run->signals + 1 ? SIGKILL : (unsigned char) interrupt_signal ();
  run->signals = count;
  run->last_signal_us = clock_us ();
  /* When the supervisor is gone the report ends, which is seen elsewhere. */
  if (send (run->control_fd, &byte, 1, MSG_NOSIGNAL) < 0)
    return;
}

/* Reads once from @fd. Returns 1, 0 at the end, negative on errors. */
static int take (struct run *run, int fd, bool report, struct err *err)
{
  char buffer[16384];
  ssize_t n = read (fd, buffer, sizeof buffer);

  if (n < 0)
    return errno == EINTR || errno == EAGAIN ? 1 : err_errno (err, "read from the container");
  if (n == 0)
    return 0;
  if (report)
    strbuf_add (&run->report, buffer, (size_t) n);
  else
    run->container->output (run->container->output_data, buffer, (size_t) n);
  return 1;
}

/* Until report and output have ended. The three signals are blocked but in ppoll, so that none gets
 * lost between a look at the flag and the wait. */
static int wait_for_report (struct run *run, const sigset_t *unblocked, struct err *err)
{
  struct pollfd polls[2] = {
      {.fd = run->control_fd, .events = POLLIN},
      {.fd = run->output_fd, .events = POLLIN},
  };

  while (polls[0].fd >= 0 || polls[1].fd >= 0) {
    forward_signals (run);
    int n = ppoll (polls, 2, NULL, unblocked);
    if (n < 0 && errno != EINTR)
      return err_errno (err, "wait for the container");
    for (size_t i = 0; n > 0 && i < 2; i++) {
      if (!polls[i].revents)
        continue;
      int more = take (run, polls[i].fd, i == 0, err);
      if (more < 0)
        return more;
      if (!more)
        polls[i].fd = -1;
    }
  }
  return 0;
}

/* fork into a new pid namespace: unshare would put all our later children there as well. */
static pid_t fork_supervisor (void)
{
  return (pid_t) syscall (SYS_clone, (long) (CLONE_NEWPID | SIGCHLD), 0L, 0L, 0L, 0L);
}

static int start (struct run *run, int *control, int *output, struct err *err)
{
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
    return err_errno (err, "make a socket pair");
  if (run->container->output && pipe2 (output, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  fflush (stdout);
  run->pid = fork_supervisor ();
  if (run->pid == 0) {
    close (control[0]);
    if (output[0] >= 0)
      close (output[0]);
    supervisor_main (run->container, control[1], output[1], run->lock_fd);
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
  int control[2] = {-1, -1}, output[2] = {-1, -1}, status = 0;
  autoerr struct err wait_err = {0};

  int ret = start (run, control, output, err);
  autoclose int control_fd = control[0];
  autoclose int output_fd = output[0];
  if (control[1] >= 0)
    close (control[1]);
  if (output[1] >= 0)
    close (output[1]);
  if (ret < 0)
    return ret;
  run->control_fd = control_fd;
  run->output_fd = output_fd;
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
  struct run run = {
      .container = container,
      .control_fd = -1,
      .output_fd = -1,
      .lock_fd = -1,
      .report = STRBUF_INIT (REPORT_MAX),
      .signals = interrupt_count (),
  };
  autoclose int lock_fd = -1;
  sigset_t unblocked;

  if (interrupt_check (err) < 0 || cgroup_lock (&lock_fd, err) < 0 ||
      block_signals (&unblocked, err) < 0)
    return -err->code;
  run.lock_fd = lock_fd;
  int ret = run_supervisor (&run, &unblocked, ret_result, err);
  sigprocmask (SIG_SETMASK, &unblocked, NULL);
  strbuf_release (&run.report);
  return ret;
}
