/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The caller's side of a command in a running guest. */
#include "session.h"
#include "session_internal.h"
#include "runtime.h"
#include "streams.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/subprocess.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* How long a command may go on after its terminal was hung up. */
enum { HANGUP_GRACE_US = 2000000, DRAIN_GRACE_US = 500000, STEP_MS = 50 };

struct session {
  const struct session_options *options; /* borrowed */
  struct streams streams;                /* owned */
  int control_fd;
  int signal_fd;
  pid_t pid;
  bool started;
  bool ended;
  bool hung_up;
  uint64_t deadline_us;
  int status;
};

static void close_fd (int *fd)
{
  cleanup_close (fd);
  *fd = -1;
}

/* Signals that are passed on, as far as they are not ignored (nohup). With a terminal also those
 * that concern it. */
static void fill_signals (sigset_t *set, bool terminal)
{
  static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM};

  sigemptyset (set);
  for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
    struct sigaction old;

    if (sigaction (passed[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
      sigaddset (set, passed[i]);
  }
  for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
    sigaddset (set, number);
  if (terminal)
    streams_add_signals (set);
}

/* A command that cannot be run tells so on its stderr, as in a shell. */
static int refuse (const struct session *s, const char *text, struct err *err)
{
  if (s->options->output)
    s->options->output (s->options->output_data, s->options->command->split ? 2 : 1, text,
                        strlen (text));
  else if (fd_write_all (STDERR_FILENO, text, strlen (text)) < 0)
    return err_errno (err, "write to the standard error");
  return 0;
}

static int take_report (struct session *s, struct err *err)
{
  char packet[SESSION_REPORT_MAX + 1];
  struct session_report report;
  int fd = -1;
  ssize_t n = pty_receive_fd (s->control_fd, &fd, packet, SESSION_REPORT_MAX);

  if (n < (ssize_t) sizeof report) {
    s->ended = true;
    /* The kernel kills all in the guest's namespaces when it stops. */
    s->status = 128 + SIGKILL;
    return s->started ? 0 : err_code (err, ESRCH, "the guest stopped before the command started");
  }
  memcpy (&report, packet, sizeof report);
  packet[n] = '\0';
  switch (report.event) {
  case SESSION_STARTED:
    s->started = true;
    return fd >= 0 ? streams_open_terminal (&s->streams, fd, err) : 0;
  case SESSION_ENDED:
    s->ended = true;
    s->status = report.value;
    return 0;
  case SESSION_REFUSED:
    s->ended = true;
    s->status = report.value;
    return refuse (s, packet + sizeof report, err);
  default:
    return err_code (err, report.value, "%s", packet + sizeof report);
  }
}

static void send_signal (struct session *s, int number, bool group)
{
  struct session_signal signal = {.number = number, .group = group};

  /* When the process is gone the control socket ends, which is seen elsewhere. */
  if (send (s->control_fd, &signal, sizeof signal, MSG_NOSIGNAL) < 0)
    return;
}

static void hang_up (struct session *s)
{
  if (s->hung_up)
    return;
  s->hung_up = true;
  s->deadline_us = clock_us () + HANGUP_GRACE_US;
  streams_hang_up (&s->streams);
}

static void take_signal (struct session *s)
{
  struct signalfd_siginfo info;
  bool has_terminal = s->streams.master_fd >= 0;

  if (read (s->signal_fd, &info, sizeof info) != (ssize_t) sizeof info)
    return;
  int number = (int) info.ssi_signo;
  if (streams_take_signal (&s->streams, number)) {
    if (has_terminal && s->streams.master_fd < 0)
      hang_up (s);
    return;
  }
  bool limit = number == SIGALRM && interrupt_has_limit ();
  if (number == SIGHUP || number == SIGTERM || number == SIGINT || limit)
    interrupt_record (number);
  if (limit)
    number = SIGTERM;
  if (has_terminal && (number == SIGHUP || number == SIGTERM))
    hang_up (s);
  else
    send_signal (s, number, info.ssi_code == SI_KERNEL);
}

enum { AT_CONTROL, AT_SIGNAL, AT_STREAMS, AT_END = AT_STREAMS + STREAMS_POLLS };

static int wait_for_events (struct session *s, struct err *err)
{
  struct pollfd polls[AT_END] = {
      [AT_CONTROL] = {.fd = s->ended ? -1 : s->control_fd, .events = POLLIN},
      [AT_SIGNAL] = {.fd = s->signal_fd, .events = POLLIN},
  };
  int timeout = -1;

  streams_poll (&s->streams, polls + AT_STREAMS);
  if (s->deadline_us)
    timeout = STEP_MS;
  if (poll (polls, AT_END, timeout) < 0 && errno != EINTR)
    return err_errno (err, "wait for the command");
  if (polls[AT_SIGNAL].revents)
    take_signal (s);
  streams_handle (&s->streams, polls + AT_STREAMS);
  if (streams_lost (&s->streams))
    hang_up (s);
  return polls[AT_CONTROL].revents ? take_report (s, err) : 0;
}

static int drain (struct session *s, struct err *err)
{
  unsigned signals = interrupt_count ();
  struct streams_rest rest;

  streams_end (&s->streams, &rest);
  if (s->options->terminal)
    s->deadline_us = clock_us () + DRAIN_GRACE_US;
  while (!streams_drained (&s->streams, &rest) && interrupt_count () == signals &&
         !(s->deadline_us && clock_us () >= s->deadline_us))
    if (wait_for_events (s, err) < 0)
      return -err->code;
  return streams_check (&s->streams, err);
}

static int run (struct session *s, struct err *err)
{
  while (!s->ended) {
    if (wait_for_events (s, err) < 0)
      return -err->code;
    if (s->hung_up && !s->ended && clock_us () >= s->deadline_us) {
      s->ended = true; /* the process kills it when we close the socket */
      s->status = 128 + SIGKILL;
    }
  }
  return drain (s, err);
}

/* fork into the pid namespace of the monitor; our later children are in our own again. */
static int fork_process (struct session *s, const struct session_process *process, struct err *err)
{
  autoclose int own = open ("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

  if (own < 0)
    return err_errno (err, "open /proc/self/ns/pid");
  fflush (stdout);
  if (setns (process->monitor_fd, CLONE_NEWPID) < 0)
    return err_errno (err, "enter the guest's pid namespace");
  s->pid = fork ();
  if (s->pid == 0)
    session_process_main (process);
  int code = errno;
  if (setns (own, CLONE_NEWPID) < 0)
    return err_errno (err, "leave the guest's pid namespace");
  errno = code;
  return s->pid < 0 ? err_errno (err, "fork into the guest's pid namespace") : 0;
}

/* A pidfd of the monitor: only when the same monitor is still there after the pid was opened, it
 * was not taken by somebody else before. */
static int open_monitor (struct vroot *root, struct guest *guest, const struct live_info *info,
                         int *ret_fd, struct err *err)
{
  autoliveinfo struct live_info again = {0};
  autoclose int fd =
      info->monitor_pid > 0 ? (int) syscall (SYS_pidfd_open, info->monitor_pid, 0) : -1;

  if (live_info_read (root, guest, &again, err) < 0)
    return -err->code;
  if (fd < 0 || again.state == LIVE_STOPPED || again.monitor_pid != info->monitor_pid)
    return err_code (err, ESRCH, "the guest has just stopped");
  *ret_fd = steal_fd (&fd);
  return 0;
}

static int start (struct session *s, struct session_process *process, struct err *err)
{
  const struct session_options *options = s->options;
  const struct stream_output output = {options->output, options->output_data,
                                       options->command->split};
  struct stream_ends ends = {-1, -1, -1};
  int control[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
    return err_errno (err, "make a socket pair");
  s->control_fd = control[0];
  process->control_fd = control[1];
  if (!terminal_size (&s->streams.terminal, &process->size))
    process->size = (struct winsize){0};
  int ret = options->terminal ? 0
                              : streams_open_pipes (&s->streams, options->stdin_fd,
                                                    options->output ? &output : NULL, &ends, err);
  process->in_fd = ends.in;
  process->out_fd = ends.out;
  process->error_fd = ends.error;
  return ret < 0 ? ret : fork_process (s, process, err);
}

static int run_process (struct session *s, struct session_process *process, struct err *err)
{
  autoerr struct err wait_err = {0};
  int status;

  int ret = start (s, process, err);
  close_fd (&process->control_fd);
  close_fd (&process->in_fd);
  if (process->error_fd != process->out_fd)
    close_fd (&process->error_fd);
  close_fd (&process->out_fd);
  if (ret == 0)
    ret = run (s, err);
  close_fd (&s->control_fd);
  streams_close (&s->streams);
  if (s->pid > 0 && subprocess_wait (s->pid, &status, &wait_err) < 0 && ret == 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  return ret;
}

int session_run (struct vroot *root, struct guest *guest, const struct live_info *info,
                 const struct session_options *options, int *ret_status, struct err *err)
{
  struct session s = {.options = options, .control_fd = -1};
  autofree char *mount_on = runtime_mount_point (root, err);
  autoclose int monitor_fd = -1, signal_fd = -1;
  sigset_t set, old;

  if (!mount_on || interrupt_check (err) < 0 ||
      open_monitor (root, guest, info, &monitor_fd, err) < 0)
    return -err->code;
  struct session_process process = {.info = info,
                                    .options = options,
                                    .mount_on = mount_on,
                                    .monitor_fd = monitor_fd,
                                    .control_fd = -1,
                                    .in_fd = -1,
                                    .out_fd = -1,
                                    .error_fd = -1};
  streams_init (&s.streams);
  if (options->terminal)
    terminal_open (&s.streams.terminal);
  fill_signals (&set, options->terminal);
  pthread_sigmask (SIG_BLOCK, &set, &old);
  signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  s.signal_fd = signal_fd;
  int ret = signal_fd < 0 ? err_errno (err, "make a signalfd") : run_process (&s, &process, err);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  if (ret == 0)
    *ret_status = s.status;
  return ret;
}
