/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "relay.h"
#include "util/fd.h"
#include <limits.h>
#include <sys/socket.h>

void relay_open (struct relay *relay, int from, int to)
{
  struct stat st;
  int flags = fcntl (to, F_GETFL);

  *relay = (struct relay){.from = from, .to = to, .buffer = xmalloc (RELAY_BUFFER)};
  relay->end_byte = -1;
  relay->step = RELAY_BUFFER;
  if (fstat (to, &st) < 0)
    return;
  relay->to_socket = S_ISSOCK (st.st_mode);
  /* poll promises no more than this to one that blocks. */
  if (!S_ISREG (st.st_mode) && !(flags >= 0 && flags & O_NONBLOCK))
    relay->step = PIPE_BUF;
}

int relay_own (int fd)
{
  autofree char *path = fd_proc_path (fd, NULL);
  struct stat st;

  if (fstat (fd, &st) == 0 && (S_ISFIFO (st.st_mode) || S_ISCHR (st.st_mode))) {
    int own = open (path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (own >= 0)
      return own;
  }
  return fcntl (fd, F_DUPFD_CLOEXEC, 3);
}

void relay_poll (const struct relay *relay, struct pollfd polls[2])
{
  bool room = relay->len == 0;

  polls[0] = (struct pollfd){.fd = room ? relay->from : -1, .events = POLLIN};
  /* Without data as well: POLLERR says that nobody reads any more. */
  polls[1] = (struct pollfd){.fd = relay->to, .events = room ? 0 : POLLOUT};
}

static void close_to (struct relay *relay)
{
  cleanup_close (&relay->from);
  cleanup_close (&relay->to);
  relay->from = relay->to = -1;
  relay->len = 0;
}

void relay_end_input (struct relay *relay)
{
  cleanup_close (&relay->from);
  relay->from = -1;
  if (relay->len == 0 && relay->end_byte >= 0) {
    relay->buffer[0] = (char) relay->end_byte;
    relay->start = 0;
    relay->len = 1;
  }
  if (relay->len == 0)
    close_to (relay);
}

static void take (struct relay *relay)
{
  ssize_t n = read (relay->from, relay->buffer, RELAY_BUFFER);

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n <= 0) {
    relay->input_ended = true;
    relay_end_input (relay);
    return;
  }
  relay->start = 0;
  relay->len = (size_t) n;
  relay->total += (uint64_t) n;
}

static void give (struct relay *relay)
{
  size_t want = relay->len < relay->step ? relay->len : relay->step;
  const char *bytes = relay->buffer + relay->start;
  ssize_t n = relay->to_socket ? send (relay->to, bytes, want, MSG_DONTWAIT | MSG_NOSIGNAL)
                               : write (relay->to, bytes, want);

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n < 0) {
    if (errno != EPIPE && errno != EIO)
      relay->write_errno = errno;
    close_to (relay);
    return;
  }
  relay->start += (size_t) n;
  relay->len -= (size_t) n;
  if (relay->len == 0 && relay->from < 0)
    close_to (relay);
}

void relay_handle (struct relay *relay, const struct pollfd polls[2])
{
  if (polls[1].fd >= 0 && polls[1].revents) {
    if (relay->len)
      give (relay);
    else if (polls[1].revents & (POLLERR | POLLHUP | POLLNVAL))
      close_to (relay);
  }
  if (relay->from >= 0 && polls[0].fd == relay->from && polls[0].revents)
    take (relay);
}

void relay_close (struct relay *relay)
{
  cleanup_close (&relay->from);
  cleanup_close (&relay->to);
  free (relay->buffer);
  *relay = (struct relay){.from = -1, .to = -1};
}
