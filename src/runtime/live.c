/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The side of those who start, stop and ask. */
#include "live.h"
#include "monitor.h"
#include "network.h"
#include "runtime.h"
#include "guest/quota.h"
#include "guest/settle.h"
#include "guest/transaction.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/subprocess.h"
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* Beyond the time that stopping may take: to unmount, and to release the network. */
enum { END_SECONDS = 30, REPORT_MAX = 64 << 10 };

void live_info_release (struct live_info *info)
{
  free (info->id);
  free (info->runtime);
  names_release (&info->addresses);
  *info = (struct live_info){0};
}

/* RUN/NAME, which is made when @make. -1 with errno ENOENT when it is not there. */
static int open_run_dir (struct vroot *root, const char *name, bool make, struct err *err)
{
  const char *run_dir = root_run_dir (root, err);

  if (!run_dir)
    return -1;
  autoclose int dir_fd = fd_open_dir (AT_FDCWD, run_dir);
  int fd = dir_fd < 0 ? -1 : make ? fd_make_dir (dir_fd, name, 0700) : fd_open_dir (dir_fd, name);
  if (fd < 0)
    err_errno (err, "open %s/%s", run_dir, name);
  return fd;
}

static int parse_state (json_object *object, struct live_info *info, struct err *err)
{
  const char *state = NULL, *init = NULL, *id = NULL, *runtime = NULL;
  int64_t monitor = 0, first = 0;
  json_object *addresses = NULL;

  if (json_get_string (object, "state", "", &state, err) < 0 ||
      json_get_int (object, "monitor_pid", 0, &monitor, err) < 0 ||
      json_get_int (object, "init_pid", 0, &first, err) < 0 ||
      json_get_int (object, "started", 0, &info->started, err) < 0 ||
      json_get_string (object, "init", "", &init, err) < 0 ||
      json_get_string (object, "id", "", &id, err) < 0 ||
      json_get_string (object, "runtime", "", &runtime, err) < 0 ||
      json_get_strings (object, "addresses", &addresses, err) < 0)
    return -err->code;
  info->state = strcmp (state, "stopping") == 0 ? LIVE_STOPPING : LIVE_RUNNING;
  info->monitor_pid = (pid_t) monitor;
  info->init_pid = (pid_t) first;
  for (int style = INIT_AUTO; style <= INIT_NONE; style++)
    if (strcmp (init, init_style_name ((enum init_style) style)) == 0)
      info->init = (enum init_style) style;
  info->id = xstrdup (id);
  info->runtime = xstrdup (runtime);
  for (size_t i = 0; addresses && i < json_object_array_length (addresses); i++)
    names_add (&info->addresses, json_object_get_string (json_object_array_get_idx (addresses, i)));
  return 0;
}

int live_info_read (struct vroot *root, struct guest *guest, struct live_info *ret_info,
                    struct err *err)
{
  autoliveinfo struct live_info info = {.state = LIVE_STARTING};
  autojson json_object *object = NULL;
  autoerr struct err missing = {0};
  int running = guest_running (guest, err);

  if (running < 0)
    return running;
  if (!running) {
    *ret_info = (struct live_info){.state = LIVE_STOPPED};
    return 0;
  }
  autoclose int run_fd = open_run_dir (root, guest->name, /* make= */ false, &missing);
  if (run_fd >= 0 &&
      json_read_file (run_fd, MONITOR_STATE, MONITOR_STATE, &object, &missing) == 0 &&
      parse_state (object, &info, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (missing.code && missing.code != ENOENT)
    return err_code (err, missing.code, "%s", err_text (&missing));
  *ret_info = info;
  info = (struct live_info){0};
  return 0;
}

/* Takes the lock that says that the guest runs; it goes with the last copy of the descriptor. */
static int lock_running (struct guest *guest, int *ret_fd, struct err *err)
{
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  autoclose int fd = fd_open (guest->fd, "running", O_RDWR | O_CREAT, 0600);

  if (fd < 0)
    return err_errno (err, "open guests/%s/running", guest->name);
  if (fcntl (fd, F_OFD_SETLK, &lock) < 0) {
    if (errno == EAGAIN || errno == EACCES)
      return err_code (err, EALREADY, "guest %s is running already", guest->name);
    return err_errno (err, "lock guests/%s/running", guest->name);
  }
  *ret_fd = steal_fd (&fd);
  return 0;
}

/* What the monitor reports. Once it began, an interrupt only lets it know that we are gone. */
static int read_report (int fd, pid_t pid, struct err *err)
{
  autofree char *text = xcalloc (REPORT_MAX + 1, 1);
  size_t len = 0;
  bool interrupted = false;
  int code = 0, status = 0;

  while (len < REPORT_MAX) {
    ssize_t n = read (fd, text + len, REPORT_MAX - len);

    if (n < 0 && errno == EINTR) {
      if (interrupt_pending () && !interrupted) {
        interrupted = true;
        shutdown (fd, SHUT_WR);
      }
      continue;
    }
    if (n <= 0)
      break;
    len += (size_t) n;
  }
  if (len >= sizeof code)
    memcpy (&code, text, sizeof code);
  if (len >= sizeof code && !code)
    return 0; /* it goes on without us */
  autoerr struct err wait_err = {0};
  if (subprocess_wait (pid, &status, &wait_err) < 0)
    return err_code (err, wait_err.code, "%s", err_text (&wait_err));
  if (interrupted)
    return interrupt_check (err);
  if (len >= sizeof code)
    return err_code (err, code, "%s", text + sizeof code);
  autofree char *end = subprocess_describe (status);
  return err_code (err, ECHILD, "its monitor ended early: %s", end);
}

static int launch (struct monitor_start *start, struct err *err)
{
  int sockets[2];

  if (guest_mark_ran (start->guest, err) < 0)
    return -err->code;
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
    return err_errno (err, "make a socket pair");
  start->launcher_fd = sockets[1];
  fflush (stdout);
  autofree char *cgroup = xasprintf ("%s" GUEST_MONITOR_SUFFIX, start->id);
  pid_t pid = cgroup_fork (cgroup, CLONE_NEWPID, &start->in_cgroup);
  if (pid == 0) {
    close (sockets[0]);
    monitor_main (start);
  }
  autoclose int fd = sockets[0];
  close (sockets[1]);
  if (pid < 0)
    return err_errno (err, "make a new pid namespace");
  return read_report (fd, pid, err);
}

static int start_with (struct vroot *root, struct guest *guest, const struct settings *settings,
                       const struct live_start_options *options, struct err *err)
{
  autofree char *runtime = NULL, *id = guest_container_id (root, guest->name);
  autofree char *host_init = runtime_find_init (), *mount_on = runtime_mount_point (root, err);
  autoclose int run_fd = -1, running_fd = -1, cgroup_fd = -1, log_fd = -1;

  if (!mount_on || runtime_choose (root, guest, &runtime, err) < 0)
    return -err->code;
  run_fd = open_run_dir (root, guest->name, /* make= */ true, err);
  autofree char *run_path = xasprintf ("%s/%s", root->run_path, guest->name);
  if (run_fd < 0 || lock_running (guest, &running_fd, err) < 0 || cgroup_lock (&cgroup_fd, err) < 0)
    return -err->code;
  log_fd = fd_open_dir (guest->fd, "log");
  if (log_fd < 0)
    return err_errno (err, "open guests/%s/log", guest->name);
  struct monitor_start start = {
      .root = root,
      .guest = guest,
      .settings = settings,
      .id = id,
      .runtime = runtime,
      .host_init = host_init,
      .mount_on = mount_on,
      .run_path = run_path,
      .run_fd = run_fd,
      .running_fd = running_fd,
      .cgroup_lock_fd = cgroup_fd,
      .log_fd = log_fd,
      .console_fd = options->console_fd,
      .trial = options->trial,
  };
  return launch (&start, err);
}

int live_start (struct vroot *root, struct guest *guest, const struct live_start_options *options,
                struct err *err)
{
  autosettings struct settings settings = {0};
  autoerr struct err recover_err = {0};
  autoclose int console_fd = options->console_fd;
  int running = guest_running (guest, err);

  if (running < 0)
    return running;
  if (running)
    return err_code (err, EALREADY, "guest %s is running already", guest->name);
  if (interrupt_check (err) < 0 || live_recover (root, guest, err) < 0 ||
      settings_parse (guest->config, guest->name, &settings, err) < 0)
    return -err->code;
  if (network_check (&settings, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (quota_apply (root, guest, err) < 0)
    return -err->code;
  int ret = start_with (root, guest, &settings, options, err);
  /* A start that failed has undone all but this. */
  if (ret < 0 && ret != -EALREADY &&
      (live_recover (root, guest, &recover_err) < 0 ||
       (!options->trial && guest_recover (root, guest, &recover_err) < 0)))
    return err_code (err, err->code, "%s; and then: %s", err_text (err), err_text (&recover_err));
  return ret;
}

/* A monitor may hang: nothing is waited for without an end. */
static int set_patience (int fd, int64_t seconds, struct err *err)
{
  const struct timeval limit = {.tv_sec = seconds};

  if (setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
      setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
    return err_errno (err, "set how long the monitor is waited for");
  return 0;
}

/* Connects to the monitor. Returns the descriptor, or -1: it is ending, or has just been killed. */
static int connect_monitor (struct vroot *root, struct guest *guest, int64_t patience,
                            struct err *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  autoclose int run_fd = open_run_dir (root, guest->name, /* make= */ false, err);
  autoclose int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  if (run_fd < 0 || (fd >= 0 && set_patience (fd, patience, err) < 0))
    return -1;
  snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" MONITOR_SOCKET, run_fd);
  if (fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0) {
    err_errno (err, "ask the monitor of guest %s", guest->name);
    return -1;
  }
  return steal_fd (&fd);
}

/* Sends the request and reads the answer. -ETIMEDOUT when none comes. */
static int ask (int fd, const char *request, struct err *err)
{
  char text[MONITOR_MESSAGE_MAX + 1];
  ssize_t len;

  if (send (fd, request, strlen (request), MSG_NOSIGNAL) < 0)
    return err_errno (err, "ask its monitor");
  while ((len = recv (fd, text, MONITOR_MESSAGE_MAX, 0)) < 0) {
    if (errno == EAGAIN)
      return err_code (err, ETIMEDOUT, "its monitor does not answer");
    if (errno != EINTR || interrupt_check (err) < 0)
      return err->code ? -err->code : err_errno (err, "read its monitor's answer");
  }
  text[len] = '\0';
  if (len == 0)
    return err_code (err, ESRCH, "it has just ended");
  if (strncmp (text, "error ", 6) == 0)
    return err_code (err, EIO, "%s", text + 6);
  return 0;
}

/* Waits until the monitor closes the connection. Returns 1, 0 after @seconds, or negative. */
static int wait_for_end (int fd, int64_t seconds, struct err *err)
{
  uint64_t deadline = clock_us () + (uint64_t) seconds * 1000000;
  char byte[64];

  for (;;) {
    struct pollfd polls = {.fd = fd, .events = POLLIN};
    uint64_t now = clock_us ();

    if (now >= deadline)
      return 0;
    uint64_t ms = (deadline - now) / 1000 + 1;
    int n = poll (&polls, 1, ms > INT32_MAX ? INT32_MAX : (int) ms);
    if (n < 0 && errno != EINTR)
      return err_errno (err, "wait for the monitor");
    if (n < 0 && interrupt_check (err) < 0)
      return err_wrap (err, "the guest goes on stopping");
    if (n > 0 && recv (fd, byte, sizeof byte, MSG_DONTWAIT) <= 0)
      return 1;
  }
}

/* A monitor that hangs: with it the kernel ends all that is in its namespaces. */
static int kill_monitor (int fd, struct err *err)
{
  struct ucred peer;
  socklen_t len = sizeof peer;

  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
    return err_errno (err, "ask who the monitor is");
  if (peer.pid <= 0 || kill (peer.pid, SIGKILL) < 0)
    return err_errno (err, "kill the monitor");
  return 0;
}

/* Waits until nobody has the lock any more. */
static int wait_unlocked (struct guest *guest, int64_t seconds, struct err *err)
{
  static const struct timespec pause = {.tv_nsec = 2000000};
  uint64_t deadline = clock_us () + (uint64_t) seconds * 1000000;

  for (;;) {
    int running = guest_running (guest, err);

    if (running <= 0)
      return running;
    if (clock_us () >= deadline)
      return err_code (err, EBUSY, "guest %s does not stop", guest->name);
    if (interrupt_check (err) < 0)
      return err_wrap (err, "guest %s goes on stopping", guest->name);
    nanosleep (&pause, NULL);
  }
}

static int stop_monitor (struct vroot *root, struct guest *guest, int64_t timeout, struct err *err)
{
  autofree char *request = xasprintf ("stop %" PRId64, timeout);
  autoerr struct err ending = {0};
  autoclose int fd = connect_monitor (root, guest, timeout + END_SECONDS, &ending);

  int asked = fd < 0 ? fd : ask (fd, request, &ending);

  /* Without a socket it is ending by itself. */
  if (asked == 0 || asked == -ETIMEDOUT) {
    int ended = asked < 0 ? 0 : wait_for_end (fd, timeout + END_SECONDS, err);

    if (ended < 0 || (!ended && kill_monitor (fd, err) < 0))
      return -err->code;
  }
  return wait_unlocked (guest, END_SECONDS, err);
}

/* The guest may be on the layer of a trial about which nobody decided, as who should have was
 * killed: it was used on it, and what it wrote there is its own. */
static int accept_layer (struct guest *guest, struct err *err)
{
  int kept = transaction_kept (guest, err);

  return kept <= 0 ? kept : transaction_accept (guest, err);
}

/* Of the last guest that ran on this host. */
static int remove_parents (struct err *err)
{
  autoclose int lock_fd = -1;

  if (cgroup_lock (&lock_fd, err) < 0)
    return -err->code;
  return cgroup_sweep_parents (lock_fd, err);
}

int live_stop (struct vroot *root, struct guest *guest, const struct live_stop_options *options,
               struct unify_report *report, struct err *err)
{
  autounifyreport struct unify_report own = {0};
  autosettings struct settings settings = {0};
  int64_t timeout = options->timeout;
  int running = guest_running (guest, err);

  if (running < 0)
    return running;
  if (running && timeout < 0) {
    if (settings_parse (guest->config, guest->name, &settings, err) < 0)
      return -err->code;
    timeout = settings.stop_timeout;
  }
  if (running && !options->discard && accept_layer (guest, err) < 0)
    return -err->code;
  if (running && stop_monitor (root, guest, timeout, err) < 0)
    return -err->code;
  if (live_recover (root, guest, err) < 0 || remove_parents (err) < 0)
    return -err->code;
  return guest_settle_run (root, guest, report ? report : &own, err);
}

int live_kill (struct vroot *root, struct guest *guest, int signal, struct err *err)
{
  autofree char *request = xasprintf ("kill %d", signal);
  int running = guest_running (guest, err);

  if (running < 0)
    return running;
  if (!running)
    return err_code (err, ESRCH, "guest %s is not running", guest->name);
  autoclose int fd = connect_monitor (root, guest, END_SECONDS, err);
  if (fd < 0)
    return -err->code;
  if (ask (fd, request, err) < 0)
    return err_wrap (err, "send a signal to guest %s", guest->name);
  return 0;
}

static int remove_run_dir (struct vroot *root, const char *name, struct err *err)
{
  autoerr struct err missing = {0};
  autoclose int run_fd = open_run_dir (root, name, /* make= */ false, &missing);

  if (run_fd < 0)
    return missing.code == ENOENT ? 0 : err_code (err, missing.code, "%s", err_text (&missing));
  const char *run_dir = root_run_dir (root, err);
  autoclose int dir_fd = run_dir ? fd_open_dir (AT_FDCWD, run_dir) : -1;
  if (dir_fd < 0)
    return err->code ? -err->code : err_errno (err, "open %s", run_dir);
  return fd_remove_tree (dir_fd, name, err);
}

int live_recover (struct vroot *root, struct guest *guest, struct err *err)
{
  if (guest_wait_gone (root, guest->name, err) < 0 || remove_run_dir (root, guest->name, err) < 0)
    return -err->code;
  if (network_delete (guest->fd, NULL, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  return 0;
}

int live_recover_all (struct vroot *root, const struct names *names, struct err *err)
{
  for (size_t i = 0; i < names->count; i++) {
    autoguest struct guest *guest = NULL;
    autoerr struct err ignored = {0};

    if (guest_open (root, names->items[i], GUEST_TAKEN, &guest, &ignored) == 0 &&
        guest_running (guest, &ignored) == 0 && live_recover (root, guest, err) < 0)
      return err_wrap (err, "guest %s", names->items[i]);
  }
  return 0;
}
