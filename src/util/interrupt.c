/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interrupt.h"
#include <signal.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t arrived;
static volatile sig_atomic_t count;
static unsigned limit; /* seconds; 0: none */

static void record (int number)
{
  arrived = number;
  count = count + 1;
}

/* The signals are blocked in here, so that it is never in two of them. */
static void on_signal (int number)
{
  static struct timespec last;
  struct timespec now = {0};
  bool again = count > 0;

  clock_gettime (CLOCK_MONOTONIC, &now);
  record (number);
  if (again && (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000 < 1000)
    _exit (INTERRUPT_STATUS);
  last = now;
}

void interrupt_install (void)
{
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    struct sigaction old, action = {.sa_handler = on_signal};

    sigemptyset (&action.sa_mask);
    for (size_t k = 0; k < sizeof signals / sizeof signals[0]; k++)
      sigaddset (&action.sa_mask, signals[k]);
    if (sigaction (signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
      sigaction (signals[i], &action, NULL);
  }
}

void interrupt_after (unsigned seconds)
{
  struct sigaction action = {.sa_handler = record};

  sigemptyset (&action.sa_mask);
  if (seconds)
    sigaction (SIGALRM, &action, NULL);
  limit = seconds;
  alarm (seconds);
}

bool interrupt_has_limit (void)
{
  return limit != 0;
}

bool interrupt_pending (void)
{
  return arrived != 0;
}

int interrupt_signal (void)
{
  return (int) arrived;
}

unsigned interrupt_count (void)
{
  return (unsigned) count;
}

void interrupt_record (int number)
{
  record (number);
}

int interrupt_set_aside (void)
{
  int signal = (int) arrived;

  arrived = 0;
  return signal;
}

void interrupt_put_back (int signal)
{
  if (!arrived)
    arrived = signal;
}

int interrupt_check (struct err *err)
{
  if (!arrived)
    return 0;
  if (arrived == SIGALRM)
    return err_code (err, ETIMEDOUT, "not finished after %u s", limit);
  return err_code (err, ERR_INTERRUPTED, "interrupted by signal %d (%s)", (int) arrived,
                   strsignal (arrived));
}
