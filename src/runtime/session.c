/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The caller's side of a command in a running guest. */
#include "session.h"
#include "session_internal.h"
#include "pty.h"
#include "relay.h"
#include "runtime.h"
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
enum { HANGUP_GRACE_US = 2000000, DRAIN_GRACE_US = 500000, STEP_MS = 50, OUTPUT_MAX = 16 << 10 };

struct session {
  const struct session_options *options; /* borrowed */
  struct terminal terminal;
  struct relay in;
  struct relay out;
  struct relay error;
  int output_fds[2]; /* owned; of the output function, or -1 */
  int master_fd;     /* owned; for the size */
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
  static const int of_terminal[] = {SIGWINCH, SIGTSTP, SIGCONT};

  sigemptyset (set);
  for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
    struct sigaction old;

    if (sigaction (passed[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
      sigaddset (set, passed[i]);
  }
  for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
    sigaddset (set, number);
  for (size_t i = 0; terminal && i < sizeof of_terminal / sizeof of_terminal[0]; i++)
    sigaddset (set, of_terminal[i]);
}

/* The guest may hold what it was given for longer than the command lasts, and open it anew in other
 * modes: so it gets pipes, never the caller's own descriptors. */
static int make_pipe (int *ret_read, int *ret_write, struct err *err)
{
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  *ret_read = ends[0];
  *ret_write = ends[1];
  return 0;
}

static int set_nonblocking (int fd, struct err *err)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0 || fcntl (fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return err_errno (err, "make a descriptor non-blocking");
  return 0;
}

/* Our end at @from becomes a relay to the standard descriptor @to. */
static int open_output (struct relay *relay, int *from, int to, struct err *err)
{
  int own = relay_own (to);

  if (set_nonblocking (*from, err) < 0)
    return -err->code;
  if (own < 0 && errno != EBADF)
    return err_errno (err, "duplicate a standard descriptor");
  relay_open (relay, steal_fd (from), own);
  return 0;
}

/* The command's three descriptors and our ends of them. */
static int connect_streams (struct session *s, struct session_process *process, struct err *err)
{
  const struct session_options *options = s->options;
  autoclose int in = -1, out = -1, error = -1;

  if (options->stdin_fd >= 0) {
    int copy = fcntl (options->stdin_fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0)
      return err_errno (err, "duplicate the standard input");
    if (make_pipe (&process->in_fd, &in, err) < 0 || set_nonblocking (in, err) < 0) {
      close (copy);
      return -err->code;
    }
    relay_open (&s->in, copy, steal_fd (&in));
  }
  if (make_pipe (&out, &process->out_fd, err) < 0)
    return -err->code;
  if (options->output) {
    s->output_fds[0] = steal_fd (&out);
    if (!options->command->split)
      process->error_fd = process->out_fd;
    else if (make_pipe (&s->output_fds[1], &process->error_fd, err) < 0 ||
             set_nonblocking (s->output_fds[1], err) < 0)
      return -err->code;
    return set_nonblocking (s->output_fds[0], err);
  }
  if (make_pipe (&error, &process->error_fd, err) < 0 ||
      open_output (&s->out, &out, STDOUT_FILENO, err) < 0 ||
      open_output (&s->error, &error, STDERR_FILENO, err) < 0)
    return -err->code;
  return 0;
}

/* The guest's terminal has come: it is joined to ours. */
static int connect_terminal (struct session *s, int master, struct err *err)
{
  autoclose int fd = master;
  autoclose int from = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  autoclose int to = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  int in = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  struct winsize size;

  if (in >= 0 && to >= 0)
    relay_open (&s->in, in, steal_fd (&to));
  else if (in >= 0)
    close (in);
  if (from < 0 || set_nonblocking (fd, err) < 0 ||
      open_output (&s->out, &from, STDOUT_FILENO, err) < 0)
    return err->code ? -err->code : err_errno (err, "duplicate the guest's terminal");
  if (s->terminal.in_fd < 0)
    s->in.end_byte = 4; /* Ctrl-D */
  if (terminal_size (&s->terminal, &size) && ioctl (fd, TIOCSWINSZ, &size) < 0)
    return err_errno (err, "set the size of the guest's terminal");
  s->master_fd = steal_fd (&fd);
  return terminal_enter (&s->terminal, TERMINAL_RAW, err);
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
    return fd >= 0 ? connect_terminal (s, fd, err) : 0;
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

/* As when a modem's line breaks: the kernel tells the guest's session by SIGHUP. */
static void hang_up (struct session *s)
{
  if (s->hung_up)
    return;
  s->hung_up = true;
  s->deadline_us = clock_us () + HANGUP_GRACE_US;
  close_fd (&s->master_fd);
  relay_close (&s->in);
  relay_close (&s->out);
}

static void take_signal (struct session *s)
{
  struct signalfd_siginfo info;
  struct winsize size;

  if (read (s->signal_fd, &info, sizeof info) != (ssize_t) sizeof info)
    return;
  int number = (int) info.ssi_signo;
  switch (number) {
  case SIGWINCH:
    if (s->master_fd >= 0 && terminal_size (&s->terminal, &size) &&
        ioctl (s->master_fd, TIOCSWINSZ, &size) < 0)
      hang_up (s);
    return;
  case SIGTSTP:
    terminal_suspend (&s->terminal);
    return;
  case SIGCONT: /* somebody else may have used the terminal */
    if (s->terminal.changed) {
      autoerr struct err ignored = {0};

      if (terminal_enter (&s->terminal, TERMINAL_RAW, &ignored) < 0)
        hang_up (s);
    }
    return;
  case SIGHUP:
  case SIGTERM:
  case SIGINT:
    interrupt_record (number);
    break;
  case SIGALRM:
    if (!interrupt_has_limit ())
      break;
    interrupt_record (number);
    number = SIGTERM;
    break;
  default:
    break;
  }
  if (s->master_fd >= 0 && (number == SIGHUP || number == SIGTERM))
    hang_up (s);
  else
    send_signal (s, number, info.ssi_code == SI_KERNEL);
}

/* Returns how much there was, 0 at the end as well. */
static size_t take_output (struct session *s, int at)
{
  char buffer[OUTPUT_MAX];
  ssize_t n = read (s->output_fds[at], buffer, sizeof buffer);

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return 0;
  if (n <= 0) {
    close_fd (&s->output_fds[at]);
    return 0;
  }
  s->options->output (s->options->output_data, 1 + at, buffer, (size_t) n);
  return (size_t) n;
}

enum {
  AT_CONTROL,
  AT_SIGNAL,
  AT_OUTPUT,
  AT_IN = AT_OUTPUT + 2,
  AT_OUT = AT_IN + 2,
  AT_ERROR = AT_OUT + 2,
  AT_END = AT_ERROR + 2
};

static int wait_for_events (struct session *s, struct err *err)
{
  struct pollfd polls[AT_END] = {
      [AT_CONTROL] = {.fd = s->ended ? -1 : s->control_fd, .events = POLLIN},
      [AT_SIGNAL] = {.fd = s->signal_fd, .events = POLLIN},
      [AT_OUTPUT] = {.fd = s->output_fds[0], .events = POLLIN},
      [AT_OUTPUT + 1] = {.fd = s->output_fds[1], .events = POLLIN},
  };
  int timeout = -1;

  relay_poll (&s->in, polls + AT_IN);
  relay_poll (&s->out, polls + AT_OUT);
  relay_poll (&s->error, polls + AT_ERROR);
  if (s->deadline_us)
    timeout = STEP_MS;
  if (poll (polls, AT_END, timeout) < 0 && errno != EINTR)
    return err_errno (err, "wait for the command");
  if (polls[AT_SIGNAL].revents)
    take_signal (s);
  for (int i = 0; i < 2; i++)
    if (polls[AT_OUTPUT + i].revents)
      take_output (s, i);
  relay_handle (&s->in, polls + AT_IN);
  relay_handle (&s->out, polls + AT_OUT);
  relay_handle (&s->error, polls + AT_ERROR);
  if (s->terminal.in_fd >= 0 && s->master_fd >= 0 && s->in.input_ended)
    hang_up (s); /* our terminal is gone */
  return polls[AT_CONTROL].revents ? take_report (s, err) : 0;
}

/* What is in the pipes when the command has ended is its output; what processes that it left behind
 * write later is not waited for. A terminal is hung up by the kernel then, and so has an end. */
static uint64_t bytes_in (int fd)
{
  int bytes = 0;

  return fd >= 0 && ioctl (fd, FIONREAD, &bytes) == 0 ? (uint64_t) bytes : 0;
}

static bool drained (const struct relay *relay, uint64_t total)
{
  return relay_ended (relay) || (relay->len == 0 && (relay->from < 0 || relay->total >= total));
}

static int drain (struct session *s, struct err *err)
{
  uint64_t out = s->options->terminal ? UINT64_MAX : s->out.total + bytes_in (s->out.from);
  uint64_t error = s->error.total + bytes_in (s->error.from);
  unsigned signals = interrupt_count ();

  relay_close (&s->in);
  for (int i = 0; i < 2; i++) {
    uint64_t left = bytes_in (s->output_fds[i]);

    for (size_t n; s->output_fds[i] >= 0 && left > 0 && (n = take_output (s, i)) > 0;)
      left -= n < left ? n : left;
    close_fd (&s->output_fds[i]);
  }
  if (s->options->terminal)
    s->deadline_us = clock_us () + DRAIN_GRACE_US;
  while (!(drained (&s->out, out) && drained (&s->error, error)) && interrupt_count () == signals &&
         !(s->deadline_us && clock_us () >= s->deadline_us))
    if (wait_for_events (s, err) < 0)
      return -err->code;
  int code = s->out.write_errno ? s->out.write_errno : s->error.write_errno;
  if (code)
    return err_code (err, code, "write the output of the command: %s", strerror (code));
  return 0;
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
  int control[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
    return err_errno (err, "make a socket pair");
  s->control_fd = control[0];
  process->control_fd = control[1];
  if (!terminal_size (&s->terminal, &process->size))
    process->size = (struct winsize){0};
  if (!s->options->terminal && connect_streams (s, process, err) < 0)
    return -err->code;
  return fork_process (s, process, err);
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
  terminal_restore (&s->terminal);
  close_fd (&s->control_fd);
  close_fd (&s->master_fd);
  close_fd (&s->output_fds[0]);
  close_fd (&s->output_fds[1]);
  relay_close (&s->in);
  relay_close (&s->out);
  relay_close (&s->error);
  if (s->pid > 0 && subprocess_wait (s->pid, &status, &wait_err) < 0 && ret == 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  return ret;
}

int session_run (struct vroot *root, struct guest *guest, const struct live_info *info,
                 const struct session_options *options, int *ret_status, struct err *err)
{
  struct session s = {.options = options,
                      .terminal = {.in_fd = -1, .size_fd = -1},
                      .in = {.from = -1, .to = -1},
                      .out = {.from = -1, .to = -1},
                      .error = {.from = -1, .to = -1},
                      .output_fds = {-1, -1},
                      .master_fd = -1,
                      .control_fd = -1};
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
  if (options->terminal)
    terminal_open (&s.terminal);
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
