/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "supervisor.h"
#include "oci.h"
#include "process.h"
#include "program.h"
#include "pty.h"
#include "targets.h"
#include "tree/overlay.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { RESOLV_CONF_MAX = 64 << 10, SWEEP_TIMEOUT_MS = 3000 };

static const char policy_rc_d[] = "#!/bin/sh\n"
                                  "# The guest is not running: invoke-rc.d starts nothing.\n"
                                  "exit 101\n";

struct supervisor {
  const struct container *container; /* borrowed */
  const struct supervisor_fds *fds;  /* borrowed */
  int signal_fd;                     /* SIGCHLD */
  struct oci oci;
  int root_fd; /* the merged root; closed before it is unmounted */
  char *resolv_conf;
  char *policy;
  pid_t first_pid;   /* the container's first process, where it only waits */
  pid_t command_pid; /* the command, while it runs */
  bool stopping;     /* a signal was passed on: there is a deadline */
  bool killed;       /* everything was killed */
  bool orphaned;     /* vguest is gone */
  uint64_t deadline_us;
  struct container_result result;
};

static void kill_all (struct supervisor *s)
{
  s->killed = true;
  kill (-1, SIGKILL); /* process 1 of the namespace: all others in it */
}

static void stop (struct supervisor *s, int number)
{
  if (number != SIGKILL && s->command_pid > 0 && kill (s->command_pid, number) == 0) {
    if (!s->stopping)
      s->deadline_us = clock_us () + CONTAINER_GRACE_SECONDS * UINT64_C (1000000);
    s->stopping = true;
    return;
  }
  kill_all (s);
}

/* What vguest has to say: signals; or nothing any more. */
static void read_control (struct supervisor *s)
{
  unsigned char bytes[16];
  ssize_t n = read (s->fds->control, bytes, sizeof bytes);

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n <= 0) {
    s->orphaned = true;
    kill_all (s);
    return;
  }
  for (ssize_t i = 0; i < n; i++)
    stop (s, bytes[i]);
}

/* Waits for events for as long as there are any to wait for. */
static void wait_for_event (struct supervisor *s)
{
  struct pollfd polls[2] = {
      {.fd = s->signal_fd, .events = POLLIN},
      {.fd = s->orphaned ? -1 : s->fds->control, .events = POLLIN},
  };
  int timeout = -1;

  if (s->stopping && !s->killed) {
    uint64_t now = clock_us ();

    timeout = now >= s->deadline_us ? 0 : (int) ((s->deadline_us - now) / 1000 + 1);
  }
  int n = poll (polls, 2, timeout);
  if (n == 0 && timeout >= 0 && clock_us () >= s->deadline_us)
    kill_all (s);
  if (n <= 0)
    return;
  if (polls[0].revents) {
    struct signalfd_siginfo info;

    if (read (s->signal_fd, &info, sizeof info) < 0)
      return;
  }
  if (polls[1].revents)
    read_control (s);
}

/* Waits for @pid alone: another child that ends meanwhile may be the one that is waited for next,
 * and orphans of the runtime can wait for the end. */
static int wait_for (struct supervisor *s, pid_t pid, int *ret_status, struct err *err)
{
  for (;;) {
    pid_t ended = waitpid (pid, ret_status, WNOHANG | __WALL);

    if (ended == pid)
      return 0;
    if (ended < 0 && errno != EINTR)
      return err_errno (err, "wait for a process of the container");
    if (ended == 0)
      wait_for_event (s);
  }
}

static void reap_rest (struct supervisor *s)
{
  kill_all (s);
  while (waitpid (-1, NULL, __WALL) > 0 || errno == EINTR)
    ;
}

/* For the runtime's calls. */
static int wait_for_runtime (void *data, pid_t pid, int *ret_status, struct err *err)
{
  struct supervisor *s = data;

  if (wait_for (s, pid, ret_status, err) < 0)
    return -err->code;
  return s->killed ? err_code (err, ERR_INTERRUPTED, "interrupted") : 0;
}

/* Tells the user through the command's own stderr. */
static void tell (const struct supervisor *s, size_t number, const char *text)
{
  int fd = s->fds->outputs ? s->fds->outputs[2 * number + 1] : s->fds->error;

  if (fd < 0)
    fd = STDERR_FILENO;

  if (fd_write_all (fd, text, strlen (text)) < 0)
    return;
}

static int write_config (struct supervisor *s, const struct bundle_command *command,
                         struct err *err)
{
  const size_t own = s->container->guest_files ? 2 : 0;
  autofree struct bundle_bind *binds = xcalloc (own + s->container->bind_count + 1, sizeof *binds);
  struct bundle bundle = {
      .id = s->container->id,
      .root = s->oci.root_path,
      .read_only = s->container->read_only,
      .hostname = s->container->hostname,
      .init = s->container->init,
      .terminal = s->container->terminal && !s->container->init,
      .binds = binds,
      .bind_count = own + s->container->bind_count,
  };
  autojson json_object *config = NULL;

  if (own) {
    binds[0] = (struct bundle_bind){s->resolv_conf, "/etc/resolv.conf"};
    binds[1] = (struct bundle_bind){s->policy, "/usr/sbin/policy-rc.d"};
  }
  for (size_t i = 0; i < s->container->bind_count; i++)
    binds[own + i] = s->container->binds[i];
  if (bundle_config (&bundle, command, &config, err) < 0)
    return -err->code;
  return json_write_file (s->oci.dir_fd, "config.json", config, err);
}

/* The time since *@since, which becomes now. */
static uint64_t lap (uint64_t *since)
{
  uint64_t now = clock_us (), spent = now - *since;

  *since = now;
  return spent;
}

/* With an init program of the host the container's first process only waits, and reaps; commands
 * are run beside it. It is not their parent: it would pass them the signals that maintainer scripts
 * send to process 1. */
static int start_first (struct supervisor *s, struct err *err)
{
  static const char *const none[] = {NULL};
  static const struct bundle_command waiting = {.args = none, .env = none, .cwd = "/"};
  /* It holds what it is given for as long as the commands run. */
  bool apart = s->container->joined || s->container->terminal;
  int fd = apart ? s->oci.null_fd : -1;
  const struct oci_streams streams = {-1, fd, fd};

  if (write_config (s, &waiting, err) < 0 ||
      oci_run (&s->oci, &streams, NULL, &s->first_pid, err) < 0)
    return -err->code;
  return 0;
}

/* The runtime sends the terminal to a socket beside the bundle; the caller gets it from there. */
static int listen_for_terminal (struct supervisor *s, char **ret_path, int *ret_fd, struct err *err)
{
  *ret_path = s->container->terminal ? xasprintf ("%s/command.tty", s->oci.path) : NULL;
  return *ret_path ? pty_listen (*ret_path, ret_fd, err) : 0;
}

static int hand_terminal_over (struct supervisor *s, int listen_fd, struct err *err)
{
  autoclose int master = -1;

  if (listen_fd < 0)
    return 0;
  if (pty_receive (listen_fd, &master, err) < 0)
    return -err->code;
  if (pty_send_fd (s->fds->terminal, master, "", 1) < 0)
    return err_errno (err, "hand over the command's terminal");
  return 0;
}

/* What the command @number has for its three streams. @ret_input is the caller's to close. */
static int make_streams (struct supervisor *s, const struct bundle_command *command, size_t number,
                         struct oci_streams *ret_streams, int *ret_input, struct err *err)
{
  *ret_streams = (struct oci_streams){s->fds->in, s->fds->out, s->fds->error};
  if (s->container->terminal) {
    *ret_streams = (struct oci_streams){-1, s->oci.null_fd, s->oci.null_fd};
    return 0;
  }
  if (s->fds->outputs) {
    ret_streams->out = s->fds->outputs[2 * number];
    ret_streams->error = s->fds->outputs[2 * number + 1];
  }
  if (!command->input)
    return 0;
  if (fd_write_file (s->oci.dir_fd, "input", command->input, strlen (command->input), 0400, err) <
      0)
    return -err->code;
  *ret_input = fd_open (s->oci.dir_fd, "input", O_RDONLY, 0);
  if (*ret_input < 0)
    return err_errno (err, "open the command's input");
  ret_streams->in = *ret_input;
  return 0;
}

/* As the first process, or beside it. */
static int start_process (struct supervisor *s, const struct bundle_command *command,
                          const struct oci_streams *streams, const char *tty_path, uint64_t *time,
                          struct err *err)
{
  const struct process_terminal terminal = {.socket = tty_path, .size = s->fds->size};
  int ret = 0;

  if (!s->container->init) {
    if (write_config (s, command, err) < 0 ||
        oci_run (&s->oci, streams, tty_path, &s->command_pid, err) < 0)
      return -err->code;
    s->result.create_us += lap (time);
    return 0;
  }
  if (!s->first_pid)
    ret = start_first (s, err);
  s->result.create_us += lap (time);
  if (ret == 0)
    ret = process_exec (&s->oci, command, streams, tty_path ? &terminal : NULL, "command",
                        &s->command_pid, err);
  return ret;
}

/* Makes the command run. */
static int start_command (struct supervisor *s, const struct bundle_command *command, size_t number,
                          struct err *err)
{
  autofree char *tty_path = NULL;
  autoclose int listen_fd = -1, input = -1;
  struct oci_streams streams;
  uint64_t time = clock_us ();

  if (make_streams (s, command, number, &streams, &input, err) < 0 ||
      listen_for_terminal (s, &tty_path, &listen_fd, err) < 0 ||
      start_process (s, command, &streams, tty_path, &time, err) < 0 ||
      hand_terminal_over (s, listen_fd, err) < 0)
    return -err->code;
  s->result.start_us += lap (&time);
  return 0;
}

static int delete_container (struct supervisor *s, struct err *err)
{
  uint64_t time = clock_us ();
  int status;

  if (s->killed) /* the runtime would be killed by no one, but there may be little time */
    return 0;
  if (s->first_pid &&
      (kill (s->first_pid, SIGKILL) < 0 || wait_for (s, s->first_pid, &status, err) < 0))
    return err->code ? -err->code : err_errno (err, "kill the container");
  s->first_pid = 0;
  int ret = oci_delete (&s->oci, err);
  s->result.delete_us += lap (&time);
  return ret;
}

static int run_command (struct supervisor *s, size_t number, struct err *err)
{
  const struct bundle_command *command = &s->container->commands[number];
  autoprogram struct program program = {0};
  autofree char *refusal = NULL;
  int status = 0;

  if (program_resolve (s->root_fd, command, s->container->login, &program, err) < 0 ||
      program_check (s->root_fd, &program, &refusal, &status, err) < 0)
    return -err->code;
  s->result.commands++;
  s->result.signal = 0;
  s->result.status = status;
  if (status) {
    tell (s, number, refusal);
    return 0;
  }
  if (start_command (s, &program.command, number, err) < 0)
    return -err->code;
  uint64_t time = clock_us ();
  int ret = wait_for (s, s->command_pid, &status, err);
  s->command_pid = 0;
  if (ret < 0)
    return ret;
  if (s->orphaned)
    return err_code (err, ERR_INTERRUPTED, "vguest is gone");
  s->result.run_us += lap (&time);
  s->result.signal = WIFSIGNALED (status) ? WTERMSIG (status) : 0;
  s->result.status = WIFSIGNALED (status) ? 128 + WTERMSIG (status) : WEXITSTATUS (status);
  return s->first_pid ? 0 : delete_container (s, err);
}

/* Our own tmpfs holds bundle and runtime state: they go with the namespace. The host's /run would
 * not do for policy-rc.d, as it may be mounted noexec. */
static int make_bundle_dir (struct supervisor *s, struct err *err)
{
  const char *dir = s->container->mount_on;

  if (overlay_enter_namespace (s->container->dir_fd, err) < 0)
    return -err->code;
  if (mount ("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
    return err_errno (err, "mount /proc for the container's runtime");
  if (oci_mount (&s->oci, dir, err) < 0)
    return -err->code;
  s->resolv_conf = xasprintf ("%s/resolv.conf", dir);
  s->policy = xasprintf ("%s/policy-rc.d", dir);
  return 0;
}

static int prepare_guest (struct supervisor *s, struct targets *targets, struct err *err)
{
  autofree char *resolv = NULL;
  size_t len = 0;

  if (access ("/etc/resolv.conf", F_OK) == 0 &&
      fd_read_file (AT_FDCWD, "/etc/resolv.conf", RESOLV_CONF_MAX, &resolv, &len, err) < 0)
    return -err->code;
  if (fd_write_file (s->oci.dir_fd, "resolv.conf", resolv ? resolv : "", len, 0644, err) < 0 ||
      fd_write_file (s->oci.dir_fd, "policy-rc.d", policy_rc_d, strlen (policy_rc_d), 0755, err) <
          0)
    return -err->code;
  if (targets_check_links (s->root_fd, err) < 0)
    return -err->code;
  for (const char *const *point = bundle_mount_points; *point; point++)
    if (targets_prepare (targets, s->root_fd, *point, /* directory= */ true, err) < 0)
      return -err->code;
  if (targets_prepare (targets, s->root_fd, "/etc/resolv.conf", /* directory= */ false, err) < 0 ||
      targets_prepare (targets, s->root_fd, "/usr/sbin/policy-rc.d", /* directory= */ false, err) <
          0)
    return -err->code;
  return 0;
}

/* What the end of the command that ran last means. */
static enum container_verdict judge (struct supervisor *s, size_t number)
{
  if (number < CONTAINER_STATUSES)
    s->result.statuses[number] = s->result.status;
  if (!s->result.status)
    return CONTAINER_GOOD;
  if (s->result.signal || !s->container->judge)
    return CONTAINER_FAILED;
  return s->container->judge (s->container->judge_data, number, s->result.status);
}

static int run_commands (struct supervisor *s, struct err *err)
{
  unsigned tries = 0;

  for (size_t i = 0; i < s->container->command_count;) {
    if (run_command (s, i, err) < 0)
      return -err->code;
    enum container_verdict verdict = judge (s, i);
    s->result.failed = verdict == CONTAINER_FAILED;
    if (s->result.failed || s->stopping || s->killed)
      break;
    bool again = verdict == CONTAINER_AGAIN && ++tries < CONTAINER_TRIES;
    s->result.commands -= again;
    if (again)
      continue;
    tries = 0;
    i++;
  }
  return s->first_pid ? delete_container (s, err) : 0;
}

static int unmount_root (struct supervisor *s, struct err *err)
{
  close (s->root_fd);
  s->root_fd = -1;
  if (umount2 (s->oci.root_path, 0) < 0)
    return err_errno (err, "unmount the guest's root");
  return 0;
}

static int supervise (struct supervisor *s, struct err *err)
{
  autotargets struct targets targets = {0};
  autoerr struct err end_err = {0};
  uint64_t time = clock_us ();

  if (make_bundle_dir (s, err) < 0 ||
      s->container->mount (s->container->mount_data, s->oci.root_path, err) < 0)
    return -err->code;
  s->root_fd = open (s->oci.root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (s->root_fd < 0)
    return err_errno (err, "open the guest's root");
  s->result.mount_us = lap (&time);
  int ret = s->container->guest_files ? prepare_guest (s, &targets, err) : 0;
  if (ret == 0)
    ret = run_commands (s, err);
  reap_rest (s);
  if (targets_undo (&targets, &end_err) < 0 && ret == 0)
    ret = err_code (err, end_err.code, "%s", err_text (&end_err));
  if (unmount_root (s, &end_err) < 0 && ret == 0)
    ret = err_code (err, end_err.code, "%s", err_text (&end_err));
  /* delete has done it, unless the run was cut short. */
  if ((cgroup_sweep (s->container->id, SWEEP_TIMEOUT_MS, &end_err) < 0 ||
       cgroup_sweep_parents (s->fds->lock, &end_err) < 0) &&
      ret == 0)
    ret = err_code (err, end_err.code, "%s", err_text (&end_err));
  return ret;
}

static int set_up (struct supervisor *s, struct err *err)
{
  static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTTOU, SIGTTIN, SIGTSTP};
  sigset_t set;

  /* A terminal's signals go to vguest, which passes them on once. */
  setsid ();
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
    signal (ignored[i], SIG_IGN);
  sigemptyset (&set);
  sigaddset (&set, SIGCHLD);
  if (sigprocmask (SIG_SETMASK, &set, NULL) < 0)
    return err_errno (err, "set the signal mask");
  s->signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (s->signal_fd < 0)
    return err_errno (err, "make a signalfd");
  return 0;
}

void supervisor_main (const struct container *container, const struct supervisor_fds *fds)
{
  struct err err = {0};
  struct supervisor s = {
      .container = container,
      .fds = fds,
      .signal_fd = -1,
      .oci = {.runtime = container->runtime,
              .id = container->id,
              .wait = wait_for_runtime,
              .wait_data = &s,
              .dir_fd = -1,
              .null_fd = -1},
      .root_fd = -1,
  };
  struct supervisor_report report = {0};

  if (set_up (&s, &err) < 0 || supervise (&s, &err) < 0)
    report.code = err.code;
  report.result = s.result;
  if (!s.orphaned && (fd_write_all (fds->control, &report, sizeof report) < 0 ||
                      fd_write_all (fds->control, err_text (&err), strlen (err_text (&err))) < 0))
    _exit (1);
  _exit (0);
}
