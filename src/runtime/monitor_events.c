/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals, requests, output, deadlines. */
#include "monitor_internal.h"
#include "util/clock.h"
#include "util/fd.h"
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

pid_t monitor_host_pid (struct monitor *m, pid_t pid)
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
  return (pid_t) strtol (line + 4, NULL, 10);
}

/* Tells of running and stopping; true only while the lock is held. */
int monitor_write_state (struct monitor *m, const char *state, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *addresses = NULL;

  json_set_string (object, "state", state);
  json_set_int (object, "monitor_pid", monitor_host_pid (m, getpid ()));
  json_set_int (object, "init_pid", m->init_pid > 0 ? monitor_host_pid (m, m->init_pid) : 0);
  json_set_int (object, "started", m->started);
  json_set_string (object, "init", init_style_name (m->spec->style));
  json_set_string (object, "id", m->start->id);
  json_set_string (object, "runtime", m->start->runtime);
  if (m->network.result && json_object_object_get_ex (m->network.result, "addresses", &addresses))
    json_object_object_add (object, "addresses", json_object_get (addresses));
  return json_write_file (m->start->run_fd, MONITOR_STATE, object, err);
}

/* For what nobody waits for any more: into the guest's log. */
int monitor_write_pid (struct monitor *m, struct err *err)
{
  autofree char *text = xasprintf ("%ld\n", (long) monitor_host_pid (m, getpid ()));

  /* The time of the lock file is that of the last start. */
  if (futimens (m->start->running_fd, NULL) < 0)
    return err_errno (err, "note the time of the start");
  return fd_write_file (m->start->run_fd, MONITOR_PID, text, strlen (text), 0644, err);
}

void monitor_tell (struct monitor *m, const struct err *err)
{
  autofree char *text = xasprintf ("vguest: %s", err_text (err));

  if (m->console.fd >= 0)
    console_note (&m->console, text);
}

void monitor_kill_all (struct monitor *m)
{
  m->killed = true;
  kill (-1, SIGKILL); /* process 1 of the namespace: all others in it */
}

/* Runs the stop command in the container. That it was started is all there is to know. */
static int run_stop_command (struct monitor *m, struct err *err)
{
  const char *args[16] = {"exec", "--detach", m->start->id};
  const struct oci_streams streams = {-1, m->oci.null_fd, m->oci.null_fd};
  size_t n = 3;

  for (const char *const *word = m->spec->stop_command; *word && n < 15; word++)
    args[n++] = *word;
  return oci_call (&m->oci, args, &streams, err);
}

void monitor_signal_init (struct monitor *m)
{
  autoerr struct err err = {0};
  int number = m->spec->stop_signal;

  if (m->init_pid <= 0 || m->init_ended)
    return;
  if (m->spec->style == INIT_PLAIN && m->start->settings->stop_signal)
    number = m->start->settings->stop_signal;
  if (number)
    kill (m->init_pid, number);
  else if (run_stop_command (m, &err) < 0 && !m->init_ended && !m->killed)
    monitor_tell (m, &err);
}

/* Init is asked to end, by the main loop; all is killed at the deadline. A second request can only
 * bring it nearer. */
static void begin_stop (struct monitor *m, int64_t seconds)
{
  autoerr struct err err = {0};
  uint64_t deadline = clock_us () + (uint64_t) seconds * 1000000;

  if (!m->stopping || deadline < m->deadline_us)
    m->deadline_us = deadline;
  if (m->stopping)
    return;
  m->stopping = true;
  if (monitor_write_state (m, "stopping", &err) < 0)
    monitor_tell (m, &err);
  m->signal_wanted = seconds > 0;
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
  if (m->client_count == MONITOR_CLIENTS_MAX)
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
  monitor_kill_all (m);
}

/* Somebody in the guest wants to read what is shared. */
static void view_opened (struct monitor *m)
{
  const struct guestview_source source = {m->root_path, m->root_fd};
  autoerr struct err err = {0};

  if (guestview_opened (&m->view, &source, &err) < 0)
    monitor_tell (m, &err);
}

static void view_made (struct monitor *m)
{
  autoerr struct err err = {0};

  if (guestview_made (&m->view, &err) < 0)
    monitor_tell (m, &err);
}

static void take_signal (struct monitor *m)
{
  struct signalfd_siginfo info;

  if (read (m->signal_fd, &info, sizeof info) != (ssize_t) sizeof info)
    return;
  if (info.ssi_signo == SIGTERM)
    begin_stop (m, m->start->settings->stop_timeout);
  if (info.ssi_signo == SIGIO)
    view_opened (m);
}

static int poll_timeout (struct monitor *m)
{
  int view = guestview_lease (&m->view);

  if (!m->stopping || m->killed)
    return view;
  uint64_t now = clock_us ();
  if (now >= m->deadline_us)
    return 0;
  uint64_t left = (m->deadline_us - now) / 1000 + 1;
  int ms = left > INT32_MAX ? INT32_MAX : (int) left;
  return view >= 0 && view < ms ? view : ms;
}

enum { AT_SIGNAL, AT_LAUNCHER, AT_CONTROL, AT_CONSOLE, AT_VIEW, AT_CLIENTS };

/* Waits for one round of events and takes them. */
void monitor_take_events (struct monitor *m)
{
  struct pollfd polls[AT_CLIENTS + MONITOR_CLIENTS_MAX] = {
      [AT_SIGNAL] = {.fd = m->signal_fd, .events = POLLIN},
      [AT_LAUNCHER] = {.fd = m->launcher_fd, .events = POLLIN},
      [AT_CONTROL] = {.fd = m->control_fd, .events = POLLIN},
      [AT_CONSOLE] = {.fd = m->console.fd, .events = POLLIN},
      [AT_VIEW] = {.fd = m->view.maker_fd, .events = POLLIN},
  };
  size_t clients = m->client_count;

  for (size_t i = 0; i < clients; i++)
    polls[AT_CLIENTS + i] = (struct pollfd){.fd = m->clients[i], .events = POLLIN};
  int n = poll (polls, AT_CLIENTS + clients, poll_timeout (m));
  if (n <= 0) {
    if (m->stopping && !m->killed && clock_us () >= m->deadline_us)
      monitor_kill_all (m);
    return;
  }
  if (polls[AT_SIGNAL].revents)
    take_signal (m);
  if (polls[AT_LAUNCHER].revents)
    launcher_gone (m);
  if (polls[AT_CONSOLE].revents)
    console_handle (&m->console);
  if (polls[AT_VIEW].revents)
    view_made (m);
  /* Backwards: a closed one is replaced by the last. */
  for (size_t i = clients; i-- > 0;)
    if (polls[AT_CLIENTS + i].revents)
      serve_client (m, i);
  if (polls[AT_CONTROL].revents)
    accept_client (m);
}

/* Reaps what has ended. Returns true when @pid was among it. */
bool monitor_reap (struct monitor *m, pid_t pid, int *ret_status)
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

/* For the runtime's calls. It is waited for alone: init's pid is known only when it is through. */
int monitor_wait (void *data, pid_t pid, int *ret_status, struct err *err)
{
  struct monitor *m = data;

  for (;;) {
    pid_t ended = waitpid (pid, ret_status, WNOHANG | __WALL);

    if (ended == pid)
      break;
    if (ended < 0 && errno != EINTR)
      return err_errno (err, "wait for the runtime");
    if (ended == 0)
      monitor_take_events (m);
  }
  return m->killed ? err_code (err, ERR_INTERRUPTED, "interrupted") : 0;
}

int monitor_listen (struct monitor *m, struct err *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  /* The path of RUN may be too long for an address. */
  snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" MONITOR_SOCKET,
            m->start->run_fd);
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
