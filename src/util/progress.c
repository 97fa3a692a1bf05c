/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"
#include "err.h"
#include <inttypes.h>
#include <sys/ioctl.h>
#include <time.h>

static struct {
  bool disabled;
  bool shown;
  int64_t last_ms;
} progress;

static int64_t now_ms (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &ts);
  return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void progress_enable (bool enabled)
{
  progress.disabled = !enabled;
}

/* Is it time to draw? Without a terminal never, and without a system call. */
static bool is_due (void)
{
  int64_t now;

  if (progress.disabled || (now = now_ms ()) - progress.last_ms < 100)
    return false;
  if (!isatty (STDERR_FILENO)) {
    progress.disabled = true;
    return false;
  }
  progress.last_ms = now;
  progress.shown = true;
  return true;
}

void progress_show (const char *what, uint64_t done, uint64_t total, const char *unit)
{
  if (!is_due ())
    return;
  if (total)
    fprintf (stderr, "\r\033[K%s: %" PRIu64 " of %" PRIu64 " %s", what, done, total, unit);
  else
    fprintf (stderr, "\r\033[K%s: %" PRIu64 " %s", what, done, unit);
  fflush (stderr);
}

/* The columns to use; one is kept free, as a full line wraps on some terminals. */
static int line_width (void)
{
  struct winsize size;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
    return size.ws_col - 1;
  return 79;
}

void progress_line (const char *text)
{
  if (!is_due ())
    return;
  fputs ("\r\033[K", stderr);
  for (int left = line_width (); *text && left > 0; text++) {
    bool continued = ((unsigned char) *text & 0xc0) == 0x80;

    fputc ((unsigned char) *text < ' ' || *text == 0x7f ? ' ' : *text, stderr);
    left -= !continued;
  }
  fflush (stderr);
}

void progress_clear (void)
{
  if (!progress.shown)
    return;
  progress.shown = false;
  fputs ("\r\033[K", stderr);
  fflush (stderr);
}
