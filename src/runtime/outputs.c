/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outputs.h"
#include "util/fd.h"

enum { OUTPUT_MAX = 16 << 10 };

int outputs_open (struct outputs *ret_outputs, const struct container *container, struct err *err)
{
  size_t count = container->output ? 2 * container->command_count : 0;
  int *ours = xcalloc (count + 1, sizeof *ours), *ends = xcalloc (count + 1, sizeof *ends);

  *ret_outputs = (struct outputs){container, count, ours, ends};
  for (size_t i = 0; i < count; i++)
    ours[i] = ends[i] = -1;
  for (size_t i = 0; i < count; i++) {
    int pipe[2];

    if (i % 2 && !container->commands[i / 2].split) {
      ends[i] = ends[i - 1];
      continue;
    }
    if (pipe2 (pipe, O_CLOEXEC) < 0)
      return err_errno (err, "make a pipe");
    ours[i] = pipe[0];
    ends[i] = pipe[1];
  }
  return 0;
}

static void close_fd (int *fd)
{
  cleanup_close (fd);
  *fd = -1;
}

void outputs_close_ours (struct outputs *outputs)
{
  for (size_t i = 0; i < outputs->count; i++)
    close_fd (&outputs->ours[i]);
}

void outputs_close_ends (struct outputs *outputs)
{
  for (size_t i = 0; i < outputs->count; i++) {
    if (i % 2 == 0 && outputs->ends[i + 1] == outputs->ends[i])
      outputs->ends[i + 1] = -1;
    close_fd (&outputs->ends[i]);
  }
}

void outputs_release (struct outputs *outputs)
{
  outputs_close_ours (outputs);
  outputs_close_ends (outputs);
  free (outputs->ours);
  free (outputs->ends);
  *outputs = (struct outputs){0};
}

void outputs_poll (const struct outputs *outputs, struct pollfd *polls)
{
  for (size_t i = 0; i < outputs->count; i++)
    polls[i] = (struct pollfd){.fd = outputs->ours[i], .events = POLLIN};
}

static int take (struct outputs *outputs, size_t at, struct err *err)
{
  char buffer[OUTPUT_MAX];
  ssize_t n = read (outputs->ours[at], buffer, sizeof buffer);

  if (n < 0)
    return errno == EINTR || errno == EAGAIN ? 0 : err_errno (err, "read from the container");
  if (n == 0)
    close_fd (&outputs->ours[at]);
  else
    outputs->container->output (outputs->container->output_data, at / 2, at % 2 ? 2 : 1, buffer,
                                (size_t) n);
  return 0;
}

int outputs_handle (struct outputs *outputs, const struct pollfd *polls, struct err *err)
{
  for (size_t i = 0; i < outputs->count; i++)
    if (outputs->ours[i] >= 0 && polls[i].revents && take (outputs, i, err) < 0)
      return -err->code;
  return 0;
}

bool outputs_ended (const struct outputs *outputs)
{
  for (size_t i = 0; i < outputs->count; i++)
    if (outputs->ours[i] >= 0)
      return false;
  return true;
}
