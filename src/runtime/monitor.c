/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor.h"
#include "bundle.h"
#include "console.h"
#include "network.h"
#include "oci.h"
#include "targets.h"
#include "tree/overlay.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

enum { CLIENTS_MAX = 64, SESSIONS_GRACE_MS = 2000, SWEEP_TIMEOUT_MS = 10000 };

struct monitor {
  const struct monitor_start *start; /* borrowed */
  char *root_path;                   /* owned; of the state root */
  char *name;                        /* owned */
  struct oci oci;
  struct targets targets;
  int run_fd;
  int running_fd;
  int cgroup_lock_fd;
  struct console console;
  int launcher_fd; /* -1 once the start was acknowledged */
  int proc_fd;     /* the host's /proc: it shows pids of the host's namespace */
  int signal_fd;
  int control_fd; /* listens */
  int clients[CLIENTS_MAX];
  size_t client_count;
  int root_fd; /* the merged root; closed before it is unmounted */
  struct network network;
  pid_t init_pid;
  bool init_ended;
  int init_status;
  time_t started;
  bool stopping;
  bool stop_asked; /* by a client, who folds then */
  bool killed;
  bool orphaned; /* the launcher is gone before the start was acknowledged */
  uint64_t deadline_us;
};

static int64_t host_pid (struct monitor *m, pid_t pid)
{
  autoerr struct err ignored = {0};
  autofree char *text = NULL;
  autoclose int fd = (int) syscall (SYS_pidfd_open, pid, 0);
  autofree char *path = xasprintf ("self/fdinfo/%d", fd);
  const char *line;

  /* fdinfo of a pidfd tells the pid in the namespace of the procfs it is read from. */
  if (fd < 0 || fd_read_file (m->proc_fd, path, 4096, &text, NULL, &ignored) < 0 ||
      !(line = strstr (text, "Pid:")))
    return 0;
  return strtol (line + 4, NULL, 10);
}

/* Tells of running and stopping; true only while the lock is held. */
static int write_state (struct monitor *m, const char *state, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *addresses = NULL;

  json_set_string (object, "state", state);
  json_set_int (object, "monitor_pid", host_pid (m, getpid ()));
  json_set_int (object, "init_pid", m->init_pid > 0 ? host_pid (m, m->init_pid) : 0);
  json_set_int (object, "started", m->started);
  json_set_string (object, "init", init_style_name (m->start->init));
  json_set_string (object, "id", m->start->id);
  json_set_string (object, "runtime", m->start->runtime);
  if (m->network.result && json_object_object_get_ex (m->network.result, "addresses", &addresses))
    json_object_object_add (object, "addresses", json_object_get (addresses));
  return json_write_file (m->run_fd, MONITOR_STATE, object, err);
}

/* The time of the lock file is that of the last start. */
static int write_pid (struct monitor *m, struct err *err)
{
  autofree char *text = xasprintf ("%ld\n", (long) host_pid (m, getpid ()));

  if (futimens (m->start->running_fd, NULL) < 0)
    return err_errno (err, "note the time of the start");
  return fd_write_file (m->run_fd, MONITOR_PID, text, strlen (text), 0644, err);
}

/* For what nobody waits for any more: into the guest's log. */
static void tell (struct monitor *m, const struct err *err)
{
  autofree char *text = xasprintf ("vguest: %s", err_text (err));

  if (m->console.fd >= 0)
    console_note (&m->console, text);
}

static void kill_all (struct monitor *m)
{
  m->killed = true;
  kill (-1, SIGKILL); /* process 1 of the namespace: all others in it */
}

static void signal_init (struct monitor *m)
{
  if (m->init_pid > 0 && !m->init_ended)
    kill (m->init_pid, SIGTERM);
}

/* Asks init to end; all is killed at the deadline. A second request can only bring it nearer. */
static void begin_stop (struct monitor *m, int64_t seconds)
{
  autoerr struct err err = {0};
  uint64_t deadline = clock_us () + (uint64_t) seconds * 1000000;

  if (!m->stopping || deadline < m->deadline_us)
    m->deadline_us = deadline;
  if (m->stopping || m->init_ended)
    return;
  m->stopping = true;
  if (write_state (m, "stopping", &err) < 0)
    tell (m, &err);
  if (seconds > 0)
    signal_init (m);
}

static void close_client (struct monitor *m, size_t i)
{
  close (m->clients[i]);
  m->clients[i] = m->clients[--m->client_count];
}

static void answer (int fd, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

static void answer (int fd, const char *format, ...)
{
  char text[MONITOR_MESSAGE_MAX];
  va_list ap;

  va_start (ap, format);
  int len = vsnprintf (text, sizeof text, format, ap);
  va_end (ap);
  if (len > 0 && send (fd, text, (size_t) len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    return; /* the client is gone */
}

static void serve_client (struct monitor *m, size_t i)
{
  char text[MONITOR_MESSAGE_MAX + 1];
  ssize_t len = recv (m->clients[i], text, MONITOR_MESSAGE_MAX, MSG_DONTWAIT);
  int fd = m->clients[i], number;
  int64_t seconds;

  if (len < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (len <= 0) {
    close_client (m, i);
    return;
  }
  text[len] = '\0';
  if (sscanf (text, "stop %" SCNd64, &seconds) == 1 && seconds >= 0) {
    m->stop_asked = true;
    answer (fd, "ok");
    begin_stop (m, seconds);
  } else if (sscanf (text, "kill %d", &number) == 1) {
    if (m->init_pid <= 0 || m->init_ended)
      answer (fd, "error its init has ended");
    else if (kill (m->init_pid, number) < 0)
      answer (fd, "error %s", strerror (errno));
    else
      answer (fd, "ok");
  } else {
    answer (fd, "error unknown request");
  }
}

static void accept_client (struct monitor *m)
{
  int fd = accept4 (m->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd < 0)
    return;
  if (m->client_count == CLIENTS_MAX)
    close (fd);
  else
    m->clients[m->client_count++] = fd;
}

/* The launcher sends nothing: what can be read is its end. */
static void launcher_gone (struct monitor *m)
{
  close (m->launcher_fd);
  m->launcher_fd = -1;
  m->orphaned = true;
  kill_all (m);
}

static void take_signal (struct monitor *m)
{
  struct signalfd_siginfo info;

  if (read (m->signal_fd, &info, sizeof info) != (ssize_t) sizeof info)
    return;
  if (info.ssi_signo == SIGTERM)
    begin_stop (m, m->start->settings->stop_timeout);
}

static int poll_timeout (const struct monitor *m)
{
  if (!m->stopping || m->killed)
    return -1;
  uint64_t now = clock_us ();
  if (now >= m->deadline_us)
    return 0;
  uint64_t left = (m->deadline_us - now) / 1000 + 1;
  return left > INT32_MAX ? INT32_MAX : (int) left;
}

/* Waits for one round of events and takes them. */
static void take_events (struct monitor *m)
{
  struct pollfd polls[4 + CLIENTS_MAX] = {
      {.fd = m->signal_fd, .events = POLLIN},
      {.fd = m->launcher_fd, .events = POLLIN},
      {.fd = m->control_fd, .events = POLLIN},
      {.fd = m->console.fd, .events = POLLIN},
  };
  size_t clients = m->client_count;

  for (size_t i = 0; i < clients; i++)
    polls[4 + i] = (struct pollfd){.fd = m->clients[i], .events = POLLIN};
  int n = poll (polls, 4 + clients, poll_timeout (m));
  if (n <= 0) {
    if (m->stopping && !m->killed && clock_us () >= m->deadline_us)
      kill_all (m);
    return;
  }
  if (polls[0].revents)
    take_signal (m);
  if (polls[1].revents)
    launcher_gone (m);
  if (polls[3].revents)
    console_handle (&m->console);
  /* Backwards: a closed one is replaced by the last. */
  for (size_t i = clients; i-- > 0;)
    if (polls[4 + i].revents)
      serve_client (m, i);
  if (polls[2].revents)
    accept_client (m);
}

/* Reaps what has ended. Returns true when @pid was among it. */
static bool reap (struct monitor *m, pid_t pid, int *ret_status)
{
  int status;
  pid_t ended;

  while ((ended = waitpid (-1, &status, WNOHANG | __WALL)) > 0) {
    if (ended == m->init_pid) {
      m->init_ended = true;
      m->init_status = status;
    }
    if (ended == pid) {
      *ret_status = status;
      return true;
    }
  }
  return false;
}

/* For the runtime's calls. */
static int wait_for (void *data, pid_t pid, int *ret_status, struct err *err)
{
  struct monitor *m = data;

  while (!reap (m, pid, ret_status))
    take_events (m);
  return m->killed ? err_code (err, ERR_INTERRUPTED, "interrupted") : 0;
}

static int compare_ints (const void *a, const void *b)
{
  return *(const int *) a - *(const int *) b;
}

/* Others would keep pipes of the launcher's caller open for as long as the guest runs. */
static int close_others (struct monitor *m, struct err *err)
{
  int kept[] = {m->run_fd,
                m->running_fd,
                m->cgroup_lock_fd,
                m->start->log_fd,
                m->start->console_fd,
                m->launcher_fd,
                m->proc_fd,
                m->start->guest->fd,
                m->start->guest->lock_fd,
                m->start->root->lock_fd};
  size_t count = sizeof kept / sizeof kept[0];
  int null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC), next = 3;

  if (null_fd < 0 || dup2 (null_fd, STDIN_FILENO) < 0 || dup2 (null_fd, STDOUT_FILENO) < 0 ||
      dup2 (null_fd, STDERR_FILENO) < 0)
    return err_errno (err, "open /dev/null");
  qsort (kept, count, sizeof kept[0], compare_ints);
  for (size_t i = 0; i < count; i++) {
    if (kept[i] < next)
      continue;
    if (kept[i] > next && syscall (SYS_close_range, next, kept[i] - 1, 0) < 0)
      return err_errno (err, "close inherited descriptors");
    next = kept[i] + 1;
  }
  if (syscall (SYS_close_range, next, ~0U, 0) < 0)
    return err_errno (err, "close inherited descriptors");
  return 0;
}

static int set_up_signals (struct monitor *m, struct err *err)
{
  static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE, SIGTTOU, SIGTTIN, SIGTSTP, SIGQUIT};
  sigset_t set;

  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
    signal (ignored[i], SIG_IGN);
  signal (SIGTERM, SIG_DFL);
  sigemptyset (&set);
  sigaddset (&set, SIGCHLD);
  sigaddset (&set, SIGTERM);
  if (sigprocmask (SIG_SETMASK, &set, NULL) < 0)
    return err_errno (err, "set the signal mask");
  m->signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (m->signal_fd < 0)
    return err_errno (err, "make a signalfd");
  return 0;
}

/* Process, descriptors, cgroup, mount namespace. */
static int set_up (struct monitor *m, struct err *err)
{
  autofree char *title = xasprintf ("vguest:%s", m->name);
  autofree char *cgroup = xasprintf ("%s" GUEST_MONITOR_SUFFIX, m->start->id);

  setsid ();
  prctl (PR_SET_NAME, title);
  m->proc_fd = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (m->proc_fd < 0)
    return err_errno (err, "open /proc");
  if (close_others (m, err) < 0 || set_up_signals (m, err) < 0 || cgroup_join (cgroup, err) < 0)
    return -err->code;
  if (fchdir (m->start->guest->fd) < 0)
    return err_errno (err, "enter the directory of guest %s", m->name);
  /* A slave: what the host unmounts goes here as well. */
  if (unshare (CLONE_NEWNS) < 0 || mount (NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
    return err_errno (err, "make a mount namespace");
  if (mount ("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
    return err_errno (err, "mount /proc for the container's runtime");
  return 0;
}

/* The layers are opened anew, by the working directory: see overlay_enter_namespace. */
static int mount_root (struct monitor *m, struct err *err)
{
  bool trial = m->start->trial;
  autoclose int private = fd_open_dir (AT_FDCWD, "private");
  autoclose int tree = fd_open_dir (AT_FDCWD, "tree");
  autoclose int txn = fd_open_dir (AT_FDCWD, "txn");
  autoclose int upper = trial ? fd_open_dir (txn, "upper") : -1;
  autoclose int work = fd_open_dir (trial ? txn : AT_FDCWD, "work");

  if (private < 0 || tree < 0 || work < 0 || (trial && upper < 0))
    return err_errno (err, "open the layers of guest %s", m->name);
  int lowers[] = {private, tree};
  struct overlay overlay = {
      .lower_fds = trial ? lowers : &tree,
      .lower_count = trial ? 2 : 1,
      .upper_fd = trial ? upper : private,
      .work_fd = work,
      .nodev = true,
  };
  if (overlay_mount (&overlay, m->oci.root_path, err) < 0)
    return -err->code;
  m->root_fd = open (m->oci.root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (m->root_fd < 0 || chdir ("/") < 0)
    return err_errno (err, "open the guest's root");
  for (const char *const *point = bundle_mount_points; *point; point++)
    if (targets_prepare (&m->targets, m->root_fd, *point, /* directory= */ true, err) < 0)
      return -err->code;
  return 0;
}

static int write_bundle (struct monitor *m, struct err *err)
{
  static const char *const defaults[] = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
      "TERM=dumb", "LANG=C.UTF-8", NULL};
  const struct settings *settings = m->start->settings;
  autofree const char **args = xcalloc (settings->command.count + 1, sizeof *args);
  autofree const char **env = xcalloc (settings->environment.count + 8, sizeof *env);
  struct bundle_command command = {.args = args, .env = env, .cwd = "/"};
  struct bundle bundle = {
      .id = m->start->id,
      .root = m->oci.root_path,
      .hostname = settings->hostname,
      .init = m->start->host_init,
      .settings = settings,
      .netns = m->network.netns_path,
  };
  autojson json_object *config = NULL;
  size_t n = 0;

  if (m->start->init == INIT_PLAIN)
    for (size_t i = 0; i < settings->command.count; i++)
      args[i] = settings->command.items[i];
  for (const char *const *variable = defaults; *variable; variable++) {
    size_t len = strcspn (*variable, "=") + 1;
    bool replaced = false;

    for (size_t i = 0; i < settings->environment.count; i++)
      replaced |= strncmp (settings->environment.items[i], *variable, len) == 0;
    if (!replaced)
      env[n++] = *variable;
  }
  for (size_t i = 0; i < settings->environment.count; i++)
    env[n++] = settings->environment.items[i];
  if (bundle_config (&bundle, &command, &config, err) < 0)
    return -err->code;
  return json_write_file (m->oci.dir_fd, "config.json", config, err);
}

static int join_network (struct monitor *m, struct err *err)
{
  const struct monitor_start *start = m->start;
  autofree char *dir = xasprintf ("%s/net", start->run_path);
  const struct network_place place = {.id = start->id,
                                      .dir = dir,
                                      .host_pid = (pid_t) host_pid (m, getpid ()),
                                      .guest_fd = start->guest->fd,
                                      .root_fd = m->root_fd};

  return network_join (&m->network, start->settings, &place, err);
}

static int start_init (struct monitor *m, struct err *err)
{
  int output[2];

  if (pipe2 (output, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  autoclose int write_end = output[1];
  if (console_set_output (&m->console, output[0], /* terminal= */ false, err) < 0)
    return -err->code;
  struct oci_streams streams = {-1, write_end, write_end};
  m->init_ended = false;
  if (oci_create (&m->oci, &streams, NULL, &m->init_pid, err) < 0 || oci_start (&m->oci, err) < 0)
    return -err->code;
  m->started = time (NULL);
  return 0;
}

static int listen_control (struct monitor *m, struct err *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  /* The path of RUN may be too long for an address. */
  snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" MONITOR_SOCKET,
            m->run_fd);
  m->control_fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (m->control_fd < 0)
    return err_errno (err, "make the control socket");
  mode_t mask = umask (077);
  int ret = bind (m->control_fd, (struct sockaddr *) &address, sizeof address);
  umask (mask);
  if (ret < 0 || listen (m->control_fd, 16) < 0)
    return err_errno (err, "listen on the control socket");
  return 0;
}

static int report (struct monitor *m, const struct err *err)
{
  const char *text = err_text (err);

  if (m->launcher_fd < 0)
    return 0;
  int ret = fd_write_all (m->launcher_fd, &err->code, sizeof err->code) < 0 ||
            fd_write_all (m->launcher_fd, text, strlen (text)) < 0;
  close (m->launcher_fd);
  m->launcher_fd = -1;
  return ret ? -1 : 0;
}

/* The start is done: from here on the guest's lock is others'. */
static int acknowledge (struct monitor *m, struct err *err)
{
  static const struct err none = {0};

  if (write_pid (m, err) < 0 || write_state (m, "running", err) < 0)
    return -err->code;
  if (m->orphaned || report (m, &none) < 0)
    return err_code (err, ERR_INTERRUPTED, "the vguest that started it is gone");
  close (m->start->guest->lock_fd);
  close (m->start->guest->fd);
  if (m->start->root->lock_fd >= 0)
    close (m->start->root->lock_fd);
  return 0;
}

static int open_console (struct monitor *m, struct err *err)
{
  if (console_open (&m->console, m->start->log_fd, err) < 0 ||
      console_listen (&m->console, m->run_fd, CONSOLE_SOCKET, err) < 0)
    return -err->code;
  if (m->start->console_fd >= 0)
    console_add_client (&m->console, m->start->console_fd);
  return 0;
}

static int start_guest (struct monitor *m, struct err *err)
{
  if (set_up (m, err) < 0 || open_console (m, err) < 0 ||
      oci_mount (&m->oci, m->start->mount_on, err) < 0 || mount_root (m, err) < 0 ||
      join_network (m, err) < 0 || write_bundle (m, err) < 0 || start_init (m, err) < 0 ||
      listen_control (m, err) < 0)
    return -err->code;
  return acknowledge (m, err);
}

/* What is left in our namespace: commands of sessions have died with the container, and those who
 * wait for them get a moment to tell their callers. */
static void end_processes (struct monitor *m)
{
  static const struct timespec pause = {.tv_nsec = 2000000};
  int status;

  for (int ms = 0; ms < SESSIONS_GRACE_MS && !m->killed; ms += 2) {
    reap (m, 0, &status);
    if (kill (-1, 0) < 0)
      break;
    nanosleep (&pause, NULL);
  }
  kill_all (m);
  while (waitpid (-1, NULL, __WALL) > 0 || errno == EINTR)
    ;
  /* Those that came in by setns are not our children. */
  while (kill (-1, SIGKILL) == 0)
    nanosleep (&pause, NULL);
}

static void keep_first (struct err *err, struct err *more)
{
  if (more->code && !err->code)
    err_code (err, more->code, "%s", err_text (more));
  err_release (more);
}

/* Undoes all that a start does, from wherever it got to; every step is tried. */
static void end_guest (struct monitor *m, struct err *err)
{
  autoerr struct err more = {0};

  end_processes (m);
  if (m->console.fd >= 0)
    console_drain (&m->console);
  if (network_leave (&m->network, &more) < 0)
    keep_first (err, &more);
  if (targets_undo (&m->targets, &more) < 0)
    keep_first (err, &more);
  if (m->root_fd >= 0) {
    close (m->root_fd);
    if (umount2 (m->oci.root_path, 0) < 0) {
      err_errno (&more, "unmount the guest's root");
      keep_first (err, &more);
    }
  }
  if (cgroup_sweep (m->start->id, SWEEP_TIMEOUT_MS, &more) < 0)
    keep_first (err, &more);
  unlinkat (m->run_fd, MONITOR_SOCKET, 0);
  unlinkat (m->run_fd, MONITOR_STATE, 0);
  unlinkat (m->run_fd, MONITOR_PID, 0);
  unlinkat (m->run_fd, CONSOLE_SOCKET, 0);
  rmdir (m->start->run_path);
}

/* As the last act of a guest that ended by itself: its lock is gone, so it is stopped, and opening
 * it folds it. Somebody who holds the guest's lock meanwhile does that himself, or the next one
 * does. */
static void fold (struct monitor *m)
{
  const struct vroot_options options = {.path = m->root_path, .write = true, .no_wait = true};
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autoerr struct err err = {0};

  if (root_open (&options, &root, &err) < 0 ||
      guest_open (root, m->name, GUEST_LOCKED, &guest, &err) < 0)
    if (err.code != ERR_LOCKED && err.code != ERR_NO_GUEST)
      tell (m, &err);
}

static void supervise (struct monitor *m)
{
  int status;

  while (!m->init_ended && !m->killed) {
    reap (m, 0, &status);
    if (!m->init_ended)
      take_events (m);
  }
}

void monitor_main (const struct monitor_start *start)
{
  struct err err = {0};
  struct monitor m = {
      .start = start,
      .root_path = xstrdup (start->root->path),
      .name = xstrdup (start->guest->name),
      .oci = {.runtime = start->runtime,
              .id = start->id,
              .wait = wait_for,
              .wait_data = &m,
              .dir_fd = -1,
              .null_fd = -1},
      .run_fd = start->run_fd,
      .running_fd = start->running_fd,
      .cgroup_lock_fd = start->cgroup_lock_fd,
      .console = {.fd = -1,
                  .listen_fd = -1,
                  .output_fd = -1,
                  .keeper_fd = -1,
                  .log = {.dir_fd = -1, .fd = -1}},
      .launcher_fd = start->launcher_fd,
      .proc_fd = -1,
      .signal_fd = -1,
      .control_fd = -1,
      .root_fd = -1,
      .network = NETWORK_INIT,
  };
  bool started = start_guest (&m, &err) == 0;

  if (started)
    supervise (&m);
  end_guest (&m, &err);
  if (started && err.code)
    tell (&m, &err);
  autoerr struct err leave_err = {0};
  bool left = cgroup_leave (&leave_err) == 0;
  autofree char *cgroup = xasprintf ("%s" GUEST_MONITOR_SUFFIX, start->id);
  if (left && cgroup_sweep (cgroup, 0, &leave_err) == 0)
    cgroup_sweep_parents (m.cgroup_lock_fd, &leave_err);
  report (&m, &err);
  close (m.cgroup_lock_fd);
  close (m.running_fd);
  if (started && left && !m.stop_asked)
    fold (&m);
  _exit (0);
}
