/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The caller's side of a container run. */
#include "container.h"
#include "outputs.h"
#include "streams.h"
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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { REPORT_MAX = 64 << 10 };

struct run {
  const struct container *container; /* borrowed */
  pid_t pid;
  int control_fd;         /* owned, as those below; -1: ended, or none */
  int terminal_fd;        /* the terminal's master comes from there */
  int signal_fd;          /* signals that concern a terminal */
  struct streams streams; /* owned; joined, or of a terminal */
  struct outputs outputs; /* owned; of the output function */
  struct pollfd *polls;   /* borrowed; for all of them */
  struct strbuf report;
  unsigned signals; /* already passed on */
  uint64_t last_signal_us;
};

/* What the supervisor gets, and the caller closes. */
static void close_ends (struct supervisor_fds *fds)
{
  int *const all[] = {&fds->control, &fds->in, &fds->out, &fds->error, &fds->terminal};

  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    cleanup_close (all[i]);
    *all[i] = -1;
  }
}

/* @ret_old: to be put back; @ret_waiting: the mask while this process waits. */
static int block_signals (const struct run *run, sigset_t *ret_old, sigset_t *ret_waiting,
                          struct err *err)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGHUP);
  sigaddset (&set, SIGALRM);
  if (run->container->terminal)
    streams_add_signals (&set);
  if (sigprocmask (SIG_BLOCK, &set, ret_old) < 0)
    return err_errno (err, "block signals");
  *ret_waiting = *ret_old;
  if (run->container->terminal)
    streams_add_signals (ret_waiting);
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
  if (run->container->terminal)
    streams_hang_up (&run->streams);
  /* When the supervisor is gone the report ends, which is seen elsewhere. */
  if (send (run->control_fd, &byte, 1, MSG_NOSIGNAL) < 0)
    return;
}

/* Reads once from the supervisor. */
static int take_report (struct run *run, struct err *err)
{
  char buffer[16384];
  ssize_t n = read (run->control_fd, buffer, sizeof buffer);

  /* The supervisor ended before it took a signal that we had passed on: all it said has come. */
  if (n < 0 && errno == ECONNRESET)
    n = 0;
  if (n < 0)
    return errno == EINTR || errno == EAGAIN ? 0 : err_errno (err, "read from the container");
  if (n > 0)
    strbuf_add (&run->report, buffer, (size_t) n);
  else
    run->control_fd = -1;
  return 0;
}

static int take_terminal (struct run *run, struct err *err)
{
  char byte = 0;
  int master = -1;
  ssize_t n = pty_receive_fd (run->terminal_fd, &master, &byte, 1);

  if (master >= 0)
    return streams_open_terminal (&run->streams, master, err);
  if (n <= 0)
    run->terminal_fd = -1;
  return 0;
}

static void take_signal (struct run *run)
{
  struct signalfd_siginfo info;

  if (read (run->signal_fd, &info, sizeof info) == (ssize_t) sizeof info)
    streams_take_signal (&run->streams, (int) info.ssi_signo);
}

enum { AT_CONTROL, AT_TERMINAL, AT_SIGNAL, AT_STREAMS, AT_OUTPUTS = AT_STREAMS + STREAMS_POLLS };

/* Once. Signals that are passed on are blocked but in ppoll, so that none gets lost between a look
 * at the flag and the wait. */
static int wait_for_events (struct run *run, const sigset_t *waiting, struct err *err)
{
  struct pollfd *polls = run->polls;

  polls[AT_CONTROL] = (struct pollfd){.fd = run->control_fd, .events = POLLIN};
  polls[AT_TERMINAL] = (struct pollfd){.fd = run->terminal_fd, .events = POLLIN};
  polls[AT_SIGNAL] = (struct pollfd){.fd = run->signal_fd, .events = POLLIN};
  streams_poll (&run->streams, polls + AT_STREAMS);
  outputs_poll (&run->outputs, polls + AT_OUTPUTS);
  forward_signals (run);
  int n = ppoll (polls, AT_OUTPUTS + run->outputs.count, NULL, waiting);
  if (n < 0)
    return errno == EINTR ? 0 : err_errno (err, "wait for the container");
  if (polls[AT_SIGNAL].revents)
    take_signal (run);
  if (polls[AT_CONTROL].revents && take_report (run, err) < 0)
    return -err->code;
  if (polls[AT_TERMINAL].revents && take_terminal (run, err) < 0)
    return -err->code;
  if (outputs_handle (&run->outputs, polls + AT_OUTPUTS, err) < 0)
    return -err->code;
  streams_handle (&run->streams, polls + AT_STREAMS);
  if (streams_lost (&run->streams))
    streams_hang_up (&run->streams);
  return 0;
}

/* Until report and output have ended. */
static int wait_for_report (struct run *run, const sigset_t *waiting, struct err *err)
{
  unsigned signals = 0;

  while (run->control_fd >= 0) {
    if (wait_for_events (run, waiting, err) < 0)
      return -err->code;
    signals = run->signals;
  }
  /* All its processes are gone: so the output has an end, unless nobody takes it. */
  while (!(streams_ended (&run->streams) && outputs_ended (&run->outputs)) &&
         interrupt_count () == signals)
    if (wait_for_events (run, waiting, err) < 0)
      return -err->code;
  return streams_check (&run->streams, err);
}

/* fork into a new pid namespace: unshare would put all our later children there as well. */
static pid_t fork_supervisor (void)
{
  return (pid_t) syscall (SYS_clone, (long) (CLONE_NEWPID | SIGCHLD), 0L, 0L, 0L, 0L);
}

static int connect_terminal (struct run *run, struct supervisor_fds *fds, struct err *err)
{
  int sockets[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
    return err_errno (err, "make a socket pair");
  run->terminal_fd = sockets[0];
  fds->terminal = sockets[1];
  terminal_open (&run->streams.terminal);
  if (!terminal_size (&run->streams.terminal, &fds->size))
    fds->size = (struct winsize){0};
  return 0;
}

/* The commands' streams: a terminal, ends of what is joined to this process's own, or those that
 * the caller gave. */
static int connect_streams (struct run *run, struct supervisor_fds *fds, struct err *err)
{
  const struct container *container = run->container;
  struct stream_ends ends = {-1, -1, -1};

  if (container->terminal)
    return connect_terminal (run, fds, err);
  if (container->joined) {
    int ret = streams_open_pipes (&run->streams, container->stdin_fd, NULL, &ends, err);

    fds->in = ends.in;
    fds->out = ends.out;
    fds->error = ends.error;
    return ret;
  }
  if (outputs_open (&run->outputs, container, err) < 0)
    return -err->code;
  fds->outputs = run->outputs.count ? run->outputs.ends : NULL;
  fds->in = container->stdin_fd < 0 ? -1 : fcntl (container->stdin_fd, F_DUPFD_CLOEXEC, 3);
  if (container->stdin_fd >= 0 && fds->in < 0)
    return err_errno (err, "duplicate the standard input");
  return 0;
}

/* Our ends of what the supervisor has are not its own. */
static void close_ours (struct run *run, int control_fd)
{
  const int fds[] = {control_fd, run->terminal_fd, run->streams.in.to, run->streams.out.from,
                     run->streams.error.from};

  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close (fds[i]);
  outputs_close_ours (&run->outputs);
}

static int start (struct run *run, struct supervisor_fds *fds, struct err *err)
{
  int control[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
    return err_errno (err, "make a socket pair");
  run->control_fd = control[0];
  fds->control = control[1];
  if (connect_streams (run, fds, err) < 0)
    return -err->code;
  fflush (stdout);
  run->pid = fork_supervisor ();
  if (run->pid == 0) {
    close_ours (run, control[0]);
    supervisor_main (run->container, fds);
  }
  return run->pid < 0 ? err_errno (err, "make a new pid namespace") : 0;
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

static int run_supervisor (struct run *run, struct supervisor_fds *fds, const sigset_t *waiting,
                           struct container_result *ret_result, struct err *err)
{
  autoerr struct err wait_err = {0};
  int status = 0;

  int ret = start (run, fds, err);
  autoclose int control_fd = run->control_fd;
  autoclose int terminal_fd = run->terminal_fd;
  close_ends (fds);
  outputs_close_ends (&run->outputs);
  if (ret < 0)
    return ret;
  ret = wait_for_report (run, waiting, err);
  streams_close (&run->streams);
  if (ret < 0)
    kill (run->pid, SIGKILL);
  /* Only when it has been waited for are all processes and mounts of its namespaces gone. */
  if (subprocess_wait (run->pid, &status, &wait_err) < 0 && ret == 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  return ret < 0 ? ret : read_report (run, status, ret_result, err);
}

/* Those that concern a terminal come by a descriptor. */
static int open_signals (struct run *run, struct err *err)
{
  sigset_t set;

  if (!run->container->terminal)
    return 0;
  sigemptyset (&set);
  streams_add_signals (&set);
  run->signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return run->signal_fd < 0 ? err_errno (err, "make a signalfd") : 0;
}

int container_run (const struct container *container, struct container_result *ret_result,
                   struct err *err)
{
  struct supervisor_fds fds = {
      .control = -1, .in = -1, .out = -1, .error = -1, .terminal = -1, .lock = -1};
  autofree struct pollfd *polls =
      xcalloc (AT_OUTPUTS + 2 * container->command_count, sizeof *polls);
  struct run run = {
      .container = container,
      .control_fd = -1,
      .terminal_fd = -1,
      .signal_fd = -1,
      .polls = polls,
      .report = STRBUF_INIT (REPORT_MAX),
      .signals = interrupt_count (),
  };
  autoclose int lock_fd = -1;
  sigset_t old, waiting;

  streams_init (&run.streams);
  if (interrupt_check (err) < 0 || cgroup_lock (&lock_fd, err) < 0 ||
      block_signals (&run, &old, &waiting, err) < 0)
    return -err->code;
  fds.lock = lock_fd;
  int ret = open_signals (&run, err);
  if (ret == 0)
    ret = run_supervisor (&run, &fds, &waiting, ret_result, err);
  streams_close (&run.streams);
  outputs_release (&run.outputs);
  cleanup_close (&run.signal_fd);
  sigprocmask (SIG_SETMASK, &old, NULL);
  strbuf_release (&run.report);
  return ret;
}
