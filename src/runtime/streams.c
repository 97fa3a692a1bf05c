/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "streams.h"
#include "util/fd.h"

enum { OUTPUT_MAX = 16 << 10, END_OF_INPUT = 4 /* Ctrl-D */ };

void streams_init (struct streams *streams)
{
  *streams = (struct streams){
      .terminal = {.in_fd = -1, .size_fd = -1},
      .in = {.from = -1, .to = -1},
      .out = {.from = -1, .to = -1},
      .error = {.from = -1, .to = -1},
      .master_fd = -1,
      .output_fds = {-1, -1},
  };
}

static void close_fd (int *fd)
{
  cleanup_close (fd);
  *fd = -1;
}

void streams_close (struct streams *streams)
{
  terminal_restore (&streams->terminal);
  close_fd (&streams->master_fd);
  for (int i = 0; i < 2; i++)
    close_fd (&streams->output_fds[i]);
  relay_close (&streams->in);
  relay_close (&streams->out);
  relay_close (&streams->error);
}

void stream_ends_close (struct stream_ends *ends)
{
  close_fd (&ends->in);
  if (ends->error != ends->out)
    close_fd (&ends->error);
  ends->error = -1;
  close_fd (&ends->out);
}

static int make_pipe (int *ret_read, int *ret_write, struct err *err)
{
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  *ret_read = ends[0];
  *ret_write = ends[1];
  return 0;
}

static int set_nonblocking (int fd, struct err *err)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0 || fcntl (fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return err_errno (err, "make a descriptor non-blocking");
  return 0;
}

/* Our end at @from becomes a relay to the standard descriptor @to. */
static int open_output (struct relay *relay, int *from, int to, struct err *err)
{
  int own = relay_own (to);

  if (set_nonblocking (*from, err) < 0)
    return -err->code;
  if (own < 0 && errno != EBADF)
    return err_errno (err, "duplicate a standard descriptor");
  relay_open (relay, steal_fd (from), own);
  return 0;
}

static int open_input (struct streams *streams, int stdin_fd, struct stream_ends *ends,
                       struct err *err)
{
  int copy = fcntl (stdin_fd, F_DUPFD_CLOEXEC, 3);
  autoclose int in = -1;

  if (copy < 0)
    return err_errno (err, "duplicate the standard input");
  if (make_pipe (&ends->in, &in, err) < 0 || set_nonblocking (in, err) < 0) {
    close (copy);
    return -err->code;
  }
  relay_open (&streams->in, copy, steal_fd (&in));
  return 0;
}

static int open_taken (struct streams *streams, const struct stream_output *output, int *out,
                       struct stream_ends *ends, struct err *err)
{
  streams->output = *output;
  streams->output_fds[0] = steal_fd (out);
  if (!output->split)
    ends->error = ends->out;
  else if (make_pipe (&streams->output_fds[1], &ends->error, err) < 0 ||
           set_nonblocking (streams->output_fds[1], err) < 0)
    return -err->code;
  return set_nonblocking (streams->output_fds[0], err);
}

int streams_open_pipes (struct streams *streams, int stdin_fd, const struct stream_output *output,
                        struct stream_ends *ret_ends, struct err *err)
{
  autoclose int out = -1, error = -1;

  *ret_ends = (struct stream_ends){-1, -1, -1};
  if ((stdin_fd >= 0 && open_input (streams, stdin_fd, ret_ends, err) < 0) ||
      make_pipe (&out, &ret_ends->out, err) < 0)
    return -err->code;
  if (output)
    return open_taken (streams, output, &out, ret_ends, err);
  if (make_pipe (&error, &ret_ends->error, err) < 0 ||
      open_output (&streams->out, &out, STDOUT_FILENO, err) < 0 ||
      open_output (&streams->error, &error, STDERR_FILENO, err) < 0)
    return -err->code;
  return 0;
}

int streams_open_terminal (struct streams *streams, int master, struct err *err)
{
  autoclose int fd = master;
  autoclose int from = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  autoclose int to = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  int in = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  struct winsize size;

  if (in >= 0 && to >= 0)
    relay_open (&streams->in, in, steal_fd (&to));
  else if (in >= 0)
    close (in);
  if (from < 0 || set_nonblocking (fd, err) < 0 ||
      open_output (&streams->out, &from, STDOUT_FILENO, err) < 0)
    return err->code ? -err->code : err_errno (err, "duplicate the guest's terminal");
  if (streams->terminal.in_fd < 0)
    streams->in.end_byte = END_OF_INPUT;
  if (terminal_size (&streams->terminal, &size) && ioctl (fd, TIOCSWINSZ, &size) < 0)
    return err_errno (err, "set the size of the guest's terminal");
  streams->master_fd = steal_fd (&fd);
  return terminal_enter (&streams->terminal, TERMINAL_RAW, err);
}

void streams_add_signals (sigset_t *set)
{
  sigaddset (set, SIGWINCH);
  sigaddset (set, SIGTSTP);
  sigaddset (set, SIGCONT);
}

static void resize (struct streams *streams)
{
  struct winsize size;

  if (streams->master_fd >= 0 && terminal_size (&streams->terminal, &size) &&
      ioctl (streams->master_fd, TIOCSWINSZ, &size) < 0)
    streams_hang_up (streams);
}

/* Somebody else may have used the terminal. */
static void enter_again (struct streams *streams)
{
  autoerr struct err ignored = {0};

  if (streams->terminal.changed && terminal_enter (&streams->terminal, TERMINAL_RAW, &ignored) < 0)
    streams_hang_up (streams);
}

bool streams_take_signal (struct streams *streams, int number)
{
  switch (number) {
  case SIGWINCH:
    resize (streams);
    return true;
  case SIGTSTP:
    terminal_suspend (&streams->terminal);
    return true;
  case SIGCONT:
    enter_again (streams);
    return true;
  default:
    return false;
  }
}

void streams_hang_up (struct streams *streams)
{
  close_fd (&streams->master_fd);
  relay_close (&streams->in);
  relay_close (&streams->out);
}

bool streams_lost (const struct streams *streams)
{
  return streams->terminal.in_fd >= 0 && streams->master_fd >= 0 && streams->in.input_ended;
}

enum { AT_OUTPUT, AT_IN = AT_OUTPUT + 2, AT_OUT = AT_IN + 2, AT_ERROR = AT_OUT + 2 };

void streams_poll (const struct streams *streams, struct pollfd polls[STREAMS_POLLS])
{
  for (int i = 0; i < 2; i++)
    polls[AT_OUTPUT + i] = (struct pollfd){.fd = streams->output_fds[i], .events = POLLIN};
  relay_poll (&streams->in, polls + AT_IN);
  relay_poll (&streams->out, polls + AT_OUT);
  relay_poll (&streams->error, polls + AT_ERROR);
}

/* Returns how much there was, 0 at the end as well. */
static size_t take_output (struct streams *streams, int at)
{
  char buffer[OUTPUT_MAX];
  ssize_t n = read (streams->output_fds[at], buffer, sizeof buffer);

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return 0;
  if (n <= 0) {
    close_fd (&streams->output_fds[at]);
    return 0;
  }
  streams->output.take (streams->output.data, 1 + at, buffer, (size_t) n);
  return (size_t) n;
}

void streams_handle (struct streams *streams, const struct pollfd polls[STREAMS_POLLS])
{
  for (int i = 0; i < 2; i++)
    if (streams->output_fds[i] >= 0 && polls[AT_OUTPUT + i].revents)
      take_output (streams, i);
  relay_handle (&streams->in, polls + AT_IN);
  relay_handle (&streams->out, polls + AT_OUT);
  relay_handle (&streams->error, polls + AT_ERROR);
}

static uint64_t bytes_in (int fd)
{
  int bytes = 0;

  return fd >= 0 && ioctl (fd, FIONREAD, &bytes) == 0 ? (uint64_t) bytes : 0;
}

void streams_end (struct streams *streams, struct streams_rest *ret_rest)
{
  bool terminal = streams->master_fd >= 0;

  *ret_rest = (struct streams_rest){
      .out = terminal ? UINT64_MAX : streams->out.total + bytes_in (streams->out.from),
      .error = streams->error.total + bytes_in (streams->error.from),
  };
  relay_close (&streams->in);
  for (int i = 0; i < 2; i++) {
    uint64_t left = bytes_in (streams->output_fds[i]);

    for (size_t n; streams->output_fds[i] >= 0 && left > 0 && (n = take_output (streams, i)) > 0;)
      left -= n < left ? n : left;
    close_fd (&streams->output_fds[i]);
  }
}

static bool drained (const struct relay *relay, uint64_t total)
{
  return relay_ended (relay) || (relay->len == 0 && (relay->from < 0 || relay->total >= total));
}

bool streams_drained (const struct streams *streams, const struct streams_rest *rest)
{
  return drained (&streams->out, rest->out) && drained (&streams->error, rest->error);
}

bool streams_ended (const struct streams *streams)
{
  return streams->output_fds[0] < 0 && streams->output_fds[1] < 0 && relay_ended (&streams->out) &&
         relay_ended (&streams->error);
}

int streams_check (const struct streams *streams, struct err *err)
{
  int code = streams->out.write_errno ? streams->out.write_errno : streams->error.write_errno;

  return code ? err_code (err, code, "write the output of the command: %s", strerror (code)) : 0;
}
