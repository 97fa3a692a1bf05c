/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process of a session in the namespaces of the guest's monitor: it has the runtime start the
 * command and looks after it. */
#include "session_internal.h"
#include "oci.h"
#include "process.h"
#include "program.h"
#include "pty.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* How long a command has to end after its terminal went away with the caller, and the runtime to
 * start one after a signal that is to end it. */
enum { HANGUP_GRACE_MS = 1000, START_GRACE_US = 2000000, STEP_MS = 100, PENDING_MAX = 16 };

struct process {
  const struct session_process *start; /* borrowed */
  const struct session_options *options;
  struct oci oci;
  int control_fd;
  int monitor_fd;
  int streams[3];
  int signal_fd;
  int root_fd; /* the guest's root, as its init sees it */
  struct program program;
  pid_t pid;                                  /* of the command, once it runs */
  struct session_signal pending[PENDING_MAX]; /* came before it ran */
  size_t pending_count;
  bool orphaned;        /* the caller is gone */
  uint64_t deadline_us; /* of a start that is to be given up; 0: none */
};

static void report (const struct process *p, enum session_event event, int value, const char *text)
{
  struct session_report head = {.event = event, .value = value};
  autofree char *packet = xcalloc (SESSION_REPORT_MAX, 1);
  size_t len = strlen (text);

  if (len > SESSION_REPORT_MAX - sizeof head)
    len = SESSION_REPORT_MAX - sizeof head;
  memcpy (packet, &head, sizeof head);
  memcpy (packet + sizeof head, text, len);
  /* The caller may be gone: that is seen where its packets are read. */
  if (send (p->control_fd, packet, sizeof head + len, MSG_NOSIGNAL) < 0)
    return;
}

/* The caller's signals, terminal and descriptors stay its own. */
static int set_up (struct process *p, struct err *err)
{
  const struct session_process *start = p->start;
  int wanted[] = {start->control_fd, start->monitor_fd, start->in_fd, start->out_fd,
                  start->error_fd};
  enum { COUNT = sizeof wanted / sizeof wanted[0], FIRST = 3 };
  sigset_t set;

  setsid ();
  for (int number = 1; number < NSIG; number++)
    signal (number, SIG_DFL);
  signal (SIGPIPE, SIG_IGN);
  sigemptyset (&set);
  sigaddset (&set, SIGCHLD);
  if (sigprocmask (SIG_SETMASK, &set, NULL) < 0)
    return err_errno (err, "set the signal mask");
  /* First out of the way of the numbers that they get. */
  for (size_t i = 0; i < COUNT; i++)
    if (wanted[i] >= 0 && (wanted[i] = fcntl (wanted[i], F_DUPFD_CLOEXEC, FIRST + COUNT)) < 0)
      return err_errno (err, "duplicate a descriptor");
  for (int i = 0; i < COUNT; i++)
    if (wanted[i] >= 0 && dup3 (wanted[i], FIRST + i, O_CLOEXEC) < 0)
      return err_errno (err, "duplicate a descriptor");
  if (syscall (SYS_close_range, FIRST + COUNT, ~0U, 0) < 0)
    return err_errno (err, "close the caller's descriptors");
  p->control_fd = FIRST;
  p->monitor_fd = FIRST + 1;
  for (int i = 0; i < 3; i++)
    p->streams[i] = wanted[i + 2] >= 0 ? FIRST + 2 + i : -1;
  int null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_fd < 0 || dup2 (null_fd, 0) < 0 || dup2 (null_fd, 1) < 0 || dup2 (null_fd, 2) < 0)
    return err_errno (err, "open /dev/null");
  close (null_fd);
  p->signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (p->signal_fd < 0)
    return err_errno (err, "make a signalfd");
  if (prctl (PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
    return err_errno (err, "become the reaper of the command");
  return 0;
}

/* Into the monitor's mount namespace, and to the guest's root. */
static int enter (struct process *p, struct err *err)
{
  autofree char *cgroup = xasprintf ("%s.monitor", p->start->info->id);
  autofree char *log_name = xasprintf ("session-%ld.log", (long) getpid ());
  pid_t init = 0;

  if (cgroup_join (cgroup, err) < 0)
    return -err->code;
  if (setns (p->monitor_fd, CLONE_NEWNS) < 0)
    return err_errno (err, "enter the mount namespace of the guest's monitor");
  if (oci_open (&p->oci, p->start->mount_on, log_name, err) < 0 ||
      oci_read_pid (&p->oci, "pid", &init, err) < 0)
    return -err->code;
  autofree char *root = xasprintf ("/proc/%ld/root", (long) init);
  p->root_fd = open (root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (p->root_fd < 0)
    return err_errno (err, "open the guest's root");
  return 0;
}

static void kill_command (const struct process *p, int number)
{
  /* It leads a session and a process group of its own. */
  if (kill (-p->pid, number) < 0)
    kill (p->pid, number);
}

/* Calls the runtime; @ret_master is the terminal's, or -1. */
static int execute (struct process *p, int *ret_master, struct err *err)
{
  autofree char *name = xasprintf ("session-%ld", (long) getpid ());
  autofree char *tty = xasprintf ("%s.tty", name);
  autofree char *tty_path = xasprintf ("%s/%s", p->oci.path, tty);
  struct oci_streams streams = {p->streams[0], p->streams[1], p->streams[2]};
  struct process_terminal terminal = {.socket = tty_path, .size = p->start->size};
  autoclose int listen_fd = -1;

  if (p->options->terminal && pty_listen (tty_path, &listen_fd, err) < 0)
    return -err->code;
  int ret = process_exec (&p->oci, &p->program.command, &streams,
                          p->options->terminal ? &terminal : NULL, name, &p->pid, err);
  if (ret == 0 && listen_fd >= 0)
    ret = pty_receive (listen_fd, ret_master, err);
  if (ret < 0 && p->pid > 0)
    kill_command (p, SIGKILL);
  const char *const names[] = {tty, p->oci.log_name};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (unlinkat (p->oci.dir_fd, names[i], 0) < 0 && errno != ENOENT && ret == 0)
      ret = err_errno (err, "remove %s", names[i]);
  return ret;
}

/* The caller is gone. With a terminal the kernel has told the command so. */
static void end_orphan (struct process *p)
{
  struct pollfd wait = {.fd = p->signal_fd, .events = POLLIN};

  close (p->control_fd);
  if (p->options->terminal) {
    kill_command (p, SIGHUP);
    poll (&wait, 1, HANGUP_GRACE_MS);
  }
  kill_command (p, SIGKILL);
  _exit (0);
}

static void pass_signal (const struct process *p, const struct session_signal *signal)
{
  if (kill (signal->group ? -p->pid : p->pid, signal->number) < 0)
    return; /* it has ended: SIGCHLD tells */
}

static void take_control (struct process *p)
{
  struct session_signal signal;
  ssize_t n = recv (p->control_fd, &signal, sizeof signal, MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n != (ssize_t) sizeof signal) {
    p->orphaned = true;
    return;
  }
  if (p->pid > 0) {
    pass_signal (p, &signal);
    return;
  }
  if (p->pending_count < PENDING_MAX)
    p->pending[p->pending_count++] = signal;
  if (!p->deadline_us && (signal.number == SIGINT || signal.number == SIGTERM ||
                          signal.number == SIGHUP || signal.number == SIGQUIT))
    p->deadline_us = clock_us () + START_GRACE_US;
}

static int wait_for_events (struct process *p, int timeout, struct err *err)
{
  struct pollfd polls[2] = {
      {.fd = p->signal_fd, .events = POLLIN},
      {.fd = p->control_fd, .events = POLLIN},
  };
  struct signalfd_siginfo info;

  if (poll (polls, 2, timeout) < 0 && errno != EINTR)
    return err_errno (err, "wait for the command");
  if (polls[0].revents && read (p->signal_fd, &info, sizeof info) < 0 && errno != EAGAIN)
    return err_errno (err, "read the signalfd");
  if (polls[1].revents)
    take_control (p);
  return 0;
}

/* All children: what a runtime that was killed has left of a start. */
static void kill_children (void)
{
  autofree char *path = xasprintf ("/proc/self/task/%ld/children", (long) getpid ());

  do {
    autoerr struct err ignored = {0};
    autofree char *text = NULL;

    if (fd_read_file (AT_FDCWD, path, 1 << 16, &text, NULL, &ignored) < 0)
      return;
    for (char *at = text, *end; *at; at = end) {
      long pid = strtol (at, &end, 10);

      if (end == at)
        break;
      kill ((pid_t) pid, SIGKILL);
    }
  } while (waitpid (-1, NULL, __WALL) > 0);
}

/* For the runtime's call, which a guest can hold up: a runtime reads its passwd, say. */
static int wait_for_runtime (void *data, pid_t pid, int *ret_status, struct err *err)
{
  struct process *p = data;

  for (;;) {
    pid_t ended = waitpid (pid, ret_status, WNOHANG);

    if (ended == pid)
      return 0;
    if (ended < 0 && errno != EINTR)
      return err_errno (err, "wait for the runtime");
    if (p->orphaned || (p->deadline_us && clock_us () >= p->deadline_us)) {
      kill_children ();
      return err_code (err, ERR_INTERRUPTED, "interrupted before the command started");
    }
    if (wait_for_events (p, p->deadline_us ? STEP_MS : -1, err) < 0)
      return -err->code;
  }
}

/* Until the command has ended; gives its exit status. */
static int look_after (struct process *p, int *ret_status, struct err *err)
{
  for (size_t i = 0; i < p->pending_count; i++)
    pass_signal (p, &p->pending[i]);
  for (;;) {
    pid_t ended;
    int status;

    if (p->orphaned)
      end_orphan (p);
    while ((ended = waitpid (-1, &status, WNOHANG | __WALL)) > 0)
      if (ended == p->pid) {
        *ret_status = WIFSIGNALED (status) ? 128 + WTERMSIG (status) : WEXITSTATUS (status);
        return 0;
      }
    if (ended < 0 && errno != EINTR)
      return err_errno (err, "wait for the command");
    if (wait_for_events (p, -1, err) < 0)
      return -err->code;
  }
}

static void close_streams (struct process *p)
{
  for (int i = 0; i < 3; i++) {
    if (p->streams[i] >= 0)
      close (p->streams[i]);
    p->streams[i] = -1;
  }
}

static int started (struct process *p, int master, struct err *err)
{
  struct session_report head = {.event = SESSION_STARTED};

  close_streams (p);
  if (master < 0) {
    report (p, SESSION_STARTED, 0, "");
    return 0;
  }
  int ret = pty_send_fd (p->control_fd, master, &head, sizeof head);
  if (ret < 0 && errno != EPIPE)
    return err_errno (err, "hand over the guest's terminal");
  close (master);
  return 0;
}

static int resolve (struct process *p, struct err *err)
{
  struct bundle_command command = *p->options->command;

  if (p->options->user)
    command.user = p->options->user;
  return program_resolve (p->root_fd, &command, p->options->login, &p->program, err);
}

static int live (struct process *p, struct err *err)
{
  autofree char *text = NULL;
  int status = 0, master = -1;

  if (set_up (p, err) < 0 || enter (p, err) < 0 || resolve (p, err) < 0 ||
      program_check (p->root_fd, &p->program, &text, &status, err) < 0)
    return -err->code;
  if (status) {
    report (p, SESSION_REFUSED, status, text);
    return 0;
  }
  if (execute (p, &master, err) < 0 || started (p, master, err) < 0 ||
      look_after (p, &status, err) < 0)
    return -err->code;
  report (p, SESSION_ENDED, status, "");
  return 0;
}

void session_process_main (const struct session_process *start)
{
  struct err err = {0};
  struct process p = {
      .start = start,
      .options = start->options,
      .oci = {.runtime = start->info->runtime,
              .id = start->info->id,
              .wait = wait_for_runtime,
              .wait_data = &p,
              .dir_fd = -1,
              .null_fd = -1},
      .control_fd = start->control_fd,
      .streams = {-1, -1, -1},
      .signal_fd = -1,
      .root_fd = -1,
  };

  if (live (&p, &err) < 0)
    report (&p, SESSION_FAILED, err.code, err_text (&err));
  _exit (0);
}
