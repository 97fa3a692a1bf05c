/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor_internal.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

/* A guest that restarts itself at once, again and again, does so once a second. */
enum { SESSIONS_GRACE_MS = 2000, RESTART_PAUSE_MS = 1000, RESTART_SOON_SECONDS = 5 };

/* Others would keep pipes of the launcher's caller open for as long as the guest runs. */
static int close_others (struct monitor *m, struct err *err)
{
  int kept[] = {m->start->run_fd,
                m->start->running_fd,
                m->start->cgroup_lock_fd,
                m->start->log_fd,
                m->start->console_fd,
                m->launcher_fd,
                m->proc_fd,
                m->start->guest->fd,
                m->start->guest->lock_fd,
                m->start->root->lock_fd};
  int null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  if (null_fd < 0 || dup2 (null_fd, STDIN_FILENO) < 0 || dup2 (null_fd, STDOUT_FILENO) < 0 ||
      dup2 (null_fd, STDERR_FILENO) < 0)
    return err_errno (err, "open /dev/null");
  return fd_close_others (kept, sizeof kept / sizeof kept[0]) < 0
             ? err_errno (err, "close inherited descriptors")
             : 0;
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
  sigaddset (&set, SIGIO);
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
  if (close_others (m, err) < 0 || set_up_signals (m, err) < 0 ||
      (!m->start->in_cgroup && cgroup_join (cgroup, err) < 0))
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

/* The end of the connection is what the launcher waits for. */
static void leave_launcher (struct monitor *m)
{
  if (m->launcher_fd >= 0)
    close (m->launcher_fd);
  m->launcher_fd = -1;
}

static int report (struct monitor *m, const struct err *err)
{
  const char *text = err_text (err);

  if (m->launcher_fd < 0)
    return 0;
  if (fd_write_all (m->launcher_fd, &err->code, sizeof err->code) < 0 ||
      fd_write_all (m->launcher_fd, text, strlen (text)) < 0)
    return -1;
  return 0;
}

/* The start is done: from here on the guest's lock is others'. */
static int acknowledge (struct monitor *m, struct err *err)
{
  static const struct err none = {0};

  if (monitor_write_pid (m, err) < 0 || monitor_write_state (m, "running", err) < 0)
    return -err->code;
  if (m->orphaned || report (m, &none) < 0)
    return err_code (err, ERR_INTERRUPTED, "the vguest that started it is gone");
  close (m->start->guest->lock_fd);
  close (m->start->guest->fd);
  if (m->start->root->lock_fd >= 0)
    close (m->start->root->lock_fd);
  leave_launcher (m);
  return 0;
}

static int open_console (struct monitor *m, struct err *err)
{
  if (console_open (&m->console, m->start->log_fd, err) < 0 ||
      console_listen (&m->console, m->start->run_fd, CONSOLE_SOCKET, err) < 0)
    return -err->code;
  if (m->start->console_fd >= 0)
    console_add_client (&m->console, m->start->console_fd);
  return 0;
}

static int start_guest (struct monitor *m, struct err *err)
{
  if (set_up (m, err) < 0 || open_console (m, err) < 0 || monitor_prepare (m, err) < 0 ||
      monitor_start_init (m, err) < 0 || monitor_listen (m, err) < 0)
    return -err->code;
  return acknowledge (m, err);
}

/* What is left in our namespace: commands of sessions have died with the container, and those who
 * wait for them get a moment to tell their callers. */
static void end_processes (struct monitor *m)
{
  static const struct timespec pause = {.tv_nsec = 2000000};
  int status;

  guestview_stop (&m->view);
  for (int ms = 0; ms < SESSIONS_GRACE_MS && !m->killed; ms += 2) {
    monitor_reap (m, 0, &status);
    if (kill (-1, 0) < 0)
      break;
    nanosleep (&pause, NULL);
  }
  monitor_kill_all (m);
  while (waitpid (-1, NULL, __WALL) > 0 || errno == EINTR)
    ;
  /* Those that came in by setns are not our children. */
  while (kill (-1, SIGKILL) == 0)
    nanosleep (&pause, NULL);
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
      monitor_tell (m, &err);
}

static void wait_for_init (struct monitor *m)
{
  int status;

  while (!m->init_ended && !m->killed) {
    if (m->signal_wanted) {
      m->signal_wanted = false;
      monitor_signal_init (m);
    }
    monitor_reap (m, 0, &status);
    if (!m->init_ended && !m->signal_wanted)
      monitor_take_events (m);
  }
}

/* Did the guest's init ask for a restart? See reboot_pid_ns of the kernel. */
static bool wants_restart (const struct monitor *m)
{
  return m->init_ended && !m->stopping && !m->killed && m->spec->of_guest &&
         WIFSIGNALED (m->init_status) && WTERMSIG (m->init_status) == SIGHUP;
}

static int restart (struct monitor *m, struct err *err)
{
  static const struct timespec pause = {.tv_nsec = RESTART_PAUSE_MS % 1000 * 1000000L,
                                        .tv_sec = RESTART_PAUSE_MS / 1000};

  console_drain (&m->console);
  console_note (&m->console, "vguest: the guest restarts");
  if (time (NULL) - m->started < RESTART_SOON_SECONDS)
    nanosleep (&pause, NULL);
  if (oci_delete (&m->oci, err) < 0)
    return err_wrap (err, "restart");
  if (m->stopping) /* was asked for meanwhile */
    return 0;
  if (monitor_start_init (m, err) < 0)
    return err_wrap (err, "restart");
  return monitor_write_state (m, m->stopping ? "stopping" : "running", err);
}

static int supervise (struct monitor *m, struct err *err)
{
  for (;;) {
    wait_for_init (m);
    if (!wants_restart (m))
      return 0;
    if (restart (m, err) < 0)
      return -err->code;
  }
}

void monitor_main (const struct monitor_start *start)
{
  struct err err = {0}, leave_err = {0};
  struct monitor m = {
      .start = start,
      .root_path = xstrdup (start->root->path),
      .name = xstrdup (start->guest->name),
      .oci = {.runtime = start->runtime,
              .id = start->id,
              .wait = monitor_wait,
              .wait_data = &m,
              .dir_fd = -1,
              .null_fd = -1},
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
      .view = GUESTVIEW_INIT,
  };
  autofree char *cgroup = xasprintf ("%s" GUEST_MONITOR_SUFFIX, start->id);
  bool started = start_guest (&m, &err) == 0;

  if (started)
    supervise (&m, &err);
  end_processes (&m);
  monitor_undo (&m, &err);
  if (started && err.code)
    monitor_tell (&m, &err);
  /* Leaving takes the kernel ten milliseconds: only when nobody waits who removes the cgroup. */
  bool left = started && !m.stop_asked && cgroup_leave (&leave_err) == 0;
  if (left && cgroup_sweep (cgroup, 0, &leave_err) == 0)
    cgroup_sweep_parents (start->cgroup_lock_fd, &leave_err);
  if (report (&m, &err) < 0)
    m.orphaned = true;
  leave_launcher (&m);
  close (start->cgroup_lock_fd);
  close (start->running_fd);
  if (left)
    fold (&m);
  _exit (0);
}
