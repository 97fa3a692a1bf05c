/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's half of the console: a terminal joined to it. */
#include "console.h"
#include "pty.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { DETACH_KEY = 0x1d, DETACH_COUNT = 3, DETACH_US = 1000000 };

struct client {
  int socket_fd;
  int signal_fd;
  int input_fd; /* -1 at its end */
  struct terminal terminal;
  bool is_terminal;            /* the guest's console */
  uint64_t keys[DETACH_COUNT]; /* when the last ones were typed in a row */
  size_t key_count;
  bool detached;
  bool ended;
};

static int connect_console (int run_fd, int *ret_fd, struct err *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  autoclose int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  if (fd < 0)
    return err_errno (err, "make a socket");
  snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", run_fd,
            CONSOLE_SOCKET);
  if (connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
    return err_errno (err, "connect to the console");
  *ret_fd = steal_fd (&fd);
  return 0;
}

/* A guest that does not read its input is waited for, but not at a terminal, which must be able to
 * detach. What is typed is lost then, as on a serial line. */
static void send_packet (struct client *client, char type, const void *bytes, size_t len)
{
  struct iovec parts[] = {{&type, 1}, {(void *) bytes, len}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  bool wait = type == 'i' && client->terminal.in_fd < 0;

  if (sendmsg (client->socket_fd, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0)
    return; /* the end is seen where packets are read */
}

static void send_size (struct client *client)
{
  struct winsize size;

  if (client->is_terminal && terminal_size (&client->terminal, &size))
    send_packet (client, 'w', &size, sizeof size);
}

static int take_packet (struct client *client, struct err *err)
{
  char packet[CONSOLE_PACKET_MAX];
  ssize_t n = recv (client->socket_fd, packet, sizeof packet, 0);

  if (n < 0 && errno == EINTR)
    return 0;
  if (n <= 0) {
    client->ended = true;
    return 0;
  }
  if (packet[0] == 'h' && n == 2) {
    client->is_terminal = packet[1] == 'T';
    send_size (client);
    return terminal_enter (&client->terminal, client->is_terminal ? TERMINAL_RAW : TERMINAL_SILENT,
                           err);
  }
  if (packet[0] == 'o' && fd_write_all (STDOUT_FILENO, packet + 1, (size_t) n - 1) < 0)
    return err_errno (err, "write the console's output");
  return 0;
}

/* Was the key typed three times within a second, with nothing between? */
static bool typed_detach (struct client *client, const char *bytes, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != DETACH_KEY) {
      client->key_count = 0;
      continue;
    }
    if (client->key_count == DETACH_COUNT)
      memmove (client->keys, client->keys + 1, sizeof client->keys - sizeof client->keys[0]);
    else
      client->key_count++;
    client->keys[client->key_count - 1] = clock_us ();
    if (client->key_count == DETACH_COUNT &&
        client->keys[DETACH_COUNT - 1] - client->keys[0] <= DETACH_US)
      return true;
  }
  return false;
}

static void take_input (struct client *client)
{
  char bytes[CONSOLE_PACKET_MAX - 1];
  ssize_t n = read (client->input_fd, bytes, sizeof bytes);

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n <= 0) {
    client->detached = client->terminal.in_fd >= 0; /* the terminal is gone */
    client->input_fd = -1;
    return;
  }
  if (client->terminal.in_fd >= 0 && typed_detach (client, bytes, (size_t) n))
    client->detached = true;
  else if (client->is_terminal)
    send_packet (client, 'i', bytes, (size_t) n);
}

static int take_signal (struct client *client, struct err *err)
{
  struct signalfd_siginfo info;

  if (read (client->signal_fd, &info, sizeof info) != (ssize_t) sizeof info)
    return 0;
  switch (info.ssi_signo) {
  case SIGWINCH:
    send_size (client);
    return 0;
  case SIGTSTP:
    terminal_suspend (&client->terminal);
    return 0;
  case SIGCONT:
    return client->terminal.changed ? terminal_enter (&client->terminal, client->terminal.mode, err)
                                    : 0;
  case SIGINT:
    client->detached = true;
    return 0;
  default:
    interrupt_record ((int) info.ssi_signo);
    return interrupt_check (err);
  }
}

static int join (struct client *client, struct err *err)
{
  while (!client->ended && !client->detached) {
    struct pollfd polls[] = {
        {.fd = client->signal_fd, .events = POLLIN},
        {.fd = client->socket_fd, .events = POLLIN},
        {.fd = client->input_fd, .events = POLLIN},
    };

    if (poll (polls, 3, -1) < 0 && errno != EINTR)
      return err_errno (err, "wait for the console");
    if ((polls[0].revents && take_signal (client, err) < 0) ||
        (polls[1].revents && take_packet (client, err) < 0))
      return -err->code;
    if (polls[2].revents)
      take_input (client);
  }
  return 0;
}

static void fill_signals (sigset_t *set)
{
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};

  sigemptyset (set);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    struct sigaction old;

    if (sigaction (numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
      sigaddset (set, numbers[i]);
  }
}

int console_attach (int run_fd, int socket_fd, const char *name, bool quiet, bool *ret_detached,
                    struct err *err)
{
  autoclose int fd = socket_fd;
  autoclose int signal_fd = -1;
  struct client client = {.input_fd = STDIN_FILENO};
  sigset_t set, old;

  if (fd < 0 && connect_console (run_fd, &fd, err) < 0)
    return err_wrap (err, "guest %s", name);
  client.socket_fd = fd;
  terminal_open (&client.terminal);
  fill_signals (&set);
  pthread_sigmask (SIG_BLOCK, &set, &old);
  client.signal_fd = signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (client.terminal.in_fd >= 0 && !quiet)
    fprintf (stderr,
             "Attached to the console of %s; Ctrl-] three times within a second detaches.\n", name);
  int ret = signal_fd < 0 ? err_errno (err, "make a signalfd") : join (&client, err);
  terminal_restore (&client.terminal);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  if (ret < 0)
    return ret;
  if (!quiet)
    fprintf (stderr, "\n%s the console of %s.\n",
             client.detached ? "Detached from" : "The guest closed", name);
  *ret_detached = client.detached;
  return 0;
}
