/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pty.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { RECEIVE_TIMEOUT_MS = 10000, DATA_MAX = 256 };

int pty_listen (const char *path, int *ret_fd, struct err *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  autoclose int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd < 0)
    return err_errno (err, "make a socket for the terminal");
  if (strlen (path) >= sizeof address.sun_path)
    return err_code (err, ENAMETOOLONG, "the path %s is too long for a socket", path);
  memcpy (address.sun_path, path, strlen (path) + 1);
  if (unlink (path) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", path);
  if (bind (fd, (struct sockaddr *) &address, sizeof address) < 0 || listen (fd, 1) < 0)
    return err_errno (err, "listen on %s", path);
  *ret_fd = steal_fd (&fd);
  return 0;
}

union control {
  char bytes[CMSG_SPACE (sizeof (int))];
  struct cmsghdr align;
};

int pty_send_fd (int socket_fd, int fd, const void *data, size_t len)
{
  union control control = {{0}};
  struct iovec part = {(void *) data, len};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);

  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (header), &fd, sizeof fd);
  return sendmsg (socket_fd, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

ssize_t pty_receive_fd (int socket_fd, int *ret_fd, void *data, size_t len)
{
  union control control = {{0}};
  struct iovec part = {data, len};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t n;

  *ret_fd = -1;
  do
    n = recvmsg (socket_fd, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  struct cmsghdr *header = n < 0 ? NULL : CMSG_FIRSTHDR (&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN (sizeof (int)))
    memcpy (ret_fd, CMSG_DATA (header), sizeof (int));
  return n;
}

int pty_receive (int listen_fd, int *ret_master, struct err *err)
{
  struct pollfd wait = {.fd = listen_fd, .events = POLLIN};
  char name[DATA_MAX];
  int master = -1;

  if (poll (&wait, 1, RECEIVE_TIMEOUT_MS) <= 0)
    return err_code (err, EPROTO, "the runtime did not hand over the terminal");
  autoclose int fd = accept4 (listen_fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0)
    return err_errno (err, "accept the terminal from the runtime");
  if (pty_receive_fd (fd, &master, name, sizeof name) < 0)
    return err_errno (err, "receive the terminal from the runtime");
  if (master < 0)
    return err_code (err, EPROTO, "the runtime did not hand over the terminal");
  *ret_master = master;
  return 0;
}

void terminal_open (struct terminal *terminal)
{
  *terminal = (struct terminal){
      .in_fd = isatty (STDIN_FILENO) ? STDIN_FILENO : -1,
      .size_fd = isatty (STDOUT_FILENO)  ? STDOUT_FILENO
                 : isatty (STDIN_FILENO) ? STDIN_FILENO
                                         : -1,
  };
}

/* A process in the background is stopped for this by SIGTTOU, unless it is blocked. */
static int set (int fd, const struct termios *termios)
{
  sigset_t mask, old;

  sigemptyset (&mask);
  sigaddset (&mask, SIGTTOU);
  pthread_sigmask (SIG_BLOCK, &mask, &old);
  int ret = tcsetattr (fd, TCSADRAIN, termios);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  return ret;
}

/* For the end of the process in a signal handler. */
static struct termios mode_before;
static int mode_fd = -1;

static void restore_at_once (void)
{
  sigset_t mask;

  sigemptyset (&mask);
  sigaddset (&mask, SIGTTOU);
  if (mode_fd >= 0 && pthread_sigmask (SIG_BLOCK, &mask, NULL) == 0 &&
      tcsetattr (mode_fd, TCSANOW, &mode_before) < 0)
    return;
}

int terminal_enter (struct terminal *terminal, enum terminal_mode mode, struct err *err)
{
  struct termios changed;

  if (terminal->in_fd < 0)
    return 0;
  if (!terminal->changed && tcgetattr (terminal->in_fd, &terminal->saved) < 0)
    return err_errno (err, "get the mode of the terminal");
  changed = terminal->saved;
  if (mode == TERMINAL_RAW)
    cfmakeraw (&changed);
  else
    changed.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
  mode_before = terminal->saved;
  mode_fd = terminal->in_fd;
  interrupt_on_exit (restore_at_once);
  if (set (terminal->in_fd, &changed) < 0)
    return err_errno (err, "set the mode of the terminal");
  terminal->mode = mode;
  terminal->changed = true;
  return 0;
}

void terminal_restore (struct terminal *terminal)
{
  int saved = errno;

  if (terminal->changed && set (terminal->in_fd, &terminal->saved) < 0)
    errno = saved; /* the terminal is gone */
  terminal->changed = false;
  interrupt_on_exit (NULL);
  errno = saved;
}

void terminal_suspend (struct terminal *terminal)
{
  autoerr struct err ignored = {0};
  bool changed = terminal->changed;

  terminal_restore (terminal);
  raise (SIGSTOP);
  if (changed && terminal_enter (terminal, terminal->mode, &ignored) < 0)
    terminal->changed = false;
}

bool terminal_size (const struct terminal *terminal, struct winsize *ret_size)
{
  return terminal->size_fd >= 0 && ioctl (terminal->size_fd, TIOCGWINSZ, ret_size) == 0;
}
