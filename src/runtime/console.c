/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor's half of the console. */
#include "console.h"
#include "util/fd.h"
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

/* How much of one source is taken before the others have their turn, and at the end. */
enum { EVENTS_MAX = 16, READ_MAX = 16 << 10, DRAIN_MAX = 4 << 20 };

static int watch (struct console *console, int operation, int fd, uint32_t events)
{
  struct epoll_event event = {.events = events, .data = {.fd = fd}};

  return epoll_ctl (console->fd, operation, fd, &event);
}

int console_open (struct console *console, int log_fd, struct err *err)
{
  *console = (struct console){.fd = -1, .listen_fd = -1, .output_fd = -1, .keeper_fd = -1};
  consolelog_open (&console->log, log_fd);
  console->replay = xmalloc (CONSOLE_REPLAY_MAX);
  console->fd = epoll_create1 (EPOLL_CLOEXEC);
  if (console->fd < 0)
    return err_errno (err, "make an epoll descriptor for the console");
  return 0;
}

int console_listen (struct console *console, int dir_fd, const char *name, struct err *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  autoclose int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd < 0)
    return err_errno (err, "make the console's socket");
  snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
  if (unlinkat (dir_fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove the console's old socket");
  mode_t mask = umask (0177);
  int ret = bind (fd, (struct sockaddr *) &address, sizeof address);
  umask (mask);
  if (ret < 0 || listen (fd, CONSOLE_CLIENTS_MAX) < 0 ||
      watch (console, EPOLL_CTL_ADD, fd, EPOLLIN) < 0)
    return err_errno (err, "listen on the console's socket");
  console->listen_fd = steal_fd (&fd);
  return 0;
}

/* A child on its way to exec may have a copy: closing alone would not end the watch. */
static void unwatch_and_close (struct console *console, int fd)
{
  if (epoll_ctl (console->fd, EPOLL_CTL_DEL, fd, NULL) < 0)
    errno = 0;
  close (fd);
}

static void drop_client (struct console *console, size_t i)
{
  unwatch_and_close (console, console->clients[i]);
  console->clients[i] = console->clients[--console->client_count];
}

/* One packet. Returns false when the client is too slow, or gone. */
static bool send_packet (int fd, char type, const char *bytes, size_t len)
{
  struct iovec parts[] = {{&type, 1}, {(void *) bytes, len}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

  return sendmsg (fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t) len + 1;
}

static bool send_output (int fd, const char *bytes, size_t len)
{
  while (len) {
    size_t part = len < CONSOLE_PACKET_MAX - 1 ? len : CONSOLE_PACKET_MAX - 1;

    if (!send_packet (fd, 'o', bytes, part))
      return false;
    bytes += part;
    len -= part;
  }
  return true;
}

static bool tell_kind (struct console *console, int fd)
{
  return send_packet (fd, 'h', console->terminal ? "T" : "-", 1);
}

static bool send_past (struct console *console, int fd)
{
  size_t first = CONSOLE_REPLAY_MAX - console->replay_start;

  if (first > console->replay_len)
    first = console->replay_len;
  return send_output (fd, console->replay + console->replay_start, first) &&
         send_output (fd, console->replay, console->replay_len - first);
}

void console_add_client (struct console *console, int fd)
{
  int size = CONSOLE_SOCKET_MAX;

  /* Without the privilege to go above the host's limit the usual size has to do. */
  if (setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
    errno = 0;
  if (console->client_count == CONSOLE_CLIENTS_MAX ||
      (console->output_fd >= 0 && !tell_kind (console, fd)) || !send_past (console, fd) ||
      watch (console, EPOLL_CTL_ADD, fd, console->input_full ? 0 : EPOLLIN) < 0) {
    close (fd);
    return;
  }
  console->clients[console->client_count++] = fd;
}

static void accept_client (struct console *console)
{
  int fd = accept4 (console->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd >= 0)
    console_add_client (console, fd);
}

static void keep (struct console *console, const char *bytes, size_t len)
{
  if (len > CONSOLE_REPLAY_MAX) {
    bytes += len - CONSOLE_REPLAY_MAX;
    len = CONSOLE_REPLAY_MAX;
  }
  for (size_t i = 0; i < len; i++) {
    size_t end = (console->replay_start + console->replay_len) % CONSOLE_REPLAY_MAX;

    console->replay[end] = bytes[i];
    if (console->replay_len < CONSOLE_REPLAY_MAX)
      console->replay_len++;
    else
      console->replay_start = (console->replay_start + 1) % CONSOLE_REPLAY_MAX;
  }
}

/* To those who look on now and later. */
static void show (struct console *console, const char *bytes, size_t len)
{
  keep (console, bytes, len);
  for (size_t i = console->client_count; i-- > 0;)
    if (!send_output (console->clients[i], bytes, len))
      drop_client (console, i);
}

static void give_up_output (struct console *console)
{
  if (console->output_fd >= 0)
    unwatch_and_close (console, console->output_fd);
  if (console->keeper_fd >= 0)
    close (console->keeper_fd);
  console->output_fd = console->keeper_fd = -1;
  console->input_len = 0;
}

/* Opens the other end of the terminal once more. While nobody has it open a read fails with EIO,
 * for instance after a getty of the guest hung it up. */
static bool reopen_keeper (struct console *console)
{
  if (console->keeper_fd >= 0)
    close (console->keeper_fd);
  console->keeper_fd = ioctl (console->output_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return console->keeper_fd >= 0;
}

/* Returns how much was taken; 0 when there is nothing, or will be nothing any more. */
static size_t take_output (struct console *console)
{
  char buffer[READ_MAX];
  ssize_t n = read (console->output_fd, buffer, sizeof buffer);

  if (n > 0) {
    consolelog_write (&console->log, buffer, (size_t) n);
    show (console, buffer, (size_t) n);
    return (size_t) n;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  if (n == 0 || errno != EIO || !console->terminal || !reopen_keeper (console))
    give_up_output (console);
  return 0;
}

/* From now on only input is waited for that can be passed on. */
static void set_input_full (struct console *console, bool full)
{
  if (full == console->input_full)
    return;
  console->input_full = full;
  for (size_t i = console->client_count; i-- > 0;)
    if (watch (console, EPOLL_CTL_MOD, console->clients[i], full ? 0 : EPOLLIN) < 0)
      drop_client (console, i);
  if (console->output_fd >= 0 &&
      watch (console, EPOLL_CTL_MOD, console->output_fd, full ? EPOLLIN | EPOLLOUT : EPOLLIN) < 0)
    give_up_output (console);
}

static void pass_input (struct console *console)
{
  size_t done = 0;

  while (done < console->input_len && console->output_fd >= 0) {
    ssize_t n = write (console->output_fd, console->input + done, console->input_len - done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno != EAGAIN)
      console->input_len = done; /* nobody is there to read it */
    if (n <= 0)
      break;
    done += (size_t) n;
  }
  console->input_len -= done;
  memmove (console->input, console->input + done, console->input_len);
  set_input_full (console, console->input_len > 0);
}

static void take_input (struct console *console, size_t i)
{
  char packet[CONSOLE_PACKET_MAX];
  ssize_t n = recv (console->clients[i], packet, sizeof packet, MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    drop_client (console, i);
    return;
  }
  if (!console->terminal || console->output_fd < 0)
    return;
  if (packet[0] == 'w' && n == 1 + (ssize_t) sizeof (struct winsize)) {
    struct winsize size;

    memcpy (&size, packet + 1, sizeof size);
    if (ioctl (console->output_fd, TIOCSWINSZ, &size) < 0)
      return;
  } else if (packet[0] == 'i' && n > 1) {
    console->input_len = (size_t) n - 1;
    memcpy (console->input, packet + 1, console->input_len);
    pass_input (console);
  }
}

static size_t find_client (const struct console *console, int fd)
{
  size_t i = 0;

  while (i < console->client_count && console->clients[i] != fd)
    i++;
  return i;
}

void console_handle (struct console *console)
{
  struct epoll_event events[EVENTS_MAX];
  int count = epoll_wait (console->fd, events, EVENTS_MAX, 0);

  for (int i = 0; i < count; i++) {
    int fd = events[i].data.fd;

    if (fd == console->listen_fd) {
      accept_client (console);
    } else if (fd == console->output_fd) {
      if (events[i].events & EPOLLOUT)
        pass_input (console);
      if (console->output_fd >= 0 && events[i].events & ~(uint32_t) EPOLLOUT)
        take_output (console);
    } else {
      size_t client = find_client (console, fd);

      if (client == console->client_count)
        continue; /* dropped by an event before this one */
      /* With its input shut off only its end is told, and has to be taken note of at once. */
      if (console->input_full)
        drop_client (console, client);
      else
        take_input (console, client);
    }
  }
}

int console_set_output (struct console *console, int fd, bool terminal, struct err *err)
{
  autoclose int output = fd;
  int flags = fcntl (output, F_GETFL);

  give_up_output (console);
  set_input_full (console, false);
  if (flags < 0 || fcntl (output, F_SETFL, flags | O_NONBLOCK) < 0)
    return err_errno (err, "make the guest's output non-blocking");
  if (watch (console, EPOLL_CTL_ADD, output, EPOLLIN) < 0)
    return err_errno (err, "watch the guest's output");
  console->output_fd = steal_fd (&output);
  console->terminal = terminal;
  if (terminal && !reopen_keeper (console))
    return err_errno (err, "open the other end of the guest's terminal");
  for (size_t i = console->client_count; i-- > 0;)
    if (!tell_kind (console, console->clients[i]))
      drop_client (console, i);
  return 0;
}

void console_note (struct console *console, const char *text)
{
  autofree char *line = xasprintf ("\r\n--- %s ---\r\n", text);

  consolelog_note (&console->log, text);
  show (console, line, strlen (line));
}

void console_drain (struct console *console)
{
  size_t total = 0, taken;

  while (console->output_fd >= 0 && total < DRAIN_MAX && (taken = take_output (console)) > 0)
    total += taken;
  give_up_output (console);
}

void console_close (struct console *console)
{
  give_up_output (console);
  while (console->client_count)
    drop_client (console, console->client_count - 1);
  if (console->listen_fd >= 0)
    close (console->listen_fd);
  if (console->fd >= 0)
    close (console->fd);
  free (console->replay);
  consolelog_close (&console->log);
  *console = (struct console){.fd = -1, .listen_fd = -1, .output_fd = -1, .keeper_fd = -1};
  console->log = (struct consolelog){.dir_fd = -1, .fd = -1};
}
