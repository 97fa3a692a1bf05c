/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens, on stderr: on a terminal a line for each guest that is being worked on, below what
 * has been told; elsewhere a line at the start and at the end of each. */
#include "pkg.h"
#include "util/clock.h"
#include <inttypes.h>
#include <sys/ioctl.h>

enum { REDRAW_US = 100000, LINES_MAX = 20 };

struct shown {
  bool active;
  char *phase; /* owned */
  char *text;  /* owned; the last line of output */
  int percent; /* -1: not known */
  uint64_t start_us;
};

struct pkg_screen {
  struct pkg_call *call;
  struct shown *rows; /* owned */
  bool terminal;
  bool applying;
  unsigned drawn; /* lines on the terminal that are ours */
  uint64_t drawn_us;
  size_t begun;
  size_t ended;
  char *download; /* owned; the line of the download phase, or NULL */
};

static const char *name_of (const struct pkg_screen *screen, size_t index)
{
  return screen->call->names.items[index];
}

static void clear (struct pkg_screen *screen)
{
  if (!screen->drawn)
    return;
  fprintf (stderr, "\r\033[%uA\033[J", screen->drawn);
  screen->drawn = 0;
}

static int line_width (void)
{
  struct winsize size;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
    return size.ws_col - 1;
  return 79;
}

/* Cut to the width; UTF-8's continuation bytes take no column. */
static void draw_line (struct pkg_screen *screen, const char *text)
{
  int left = line_width ();

  for (; *text && left > 0; text++) {
    fputc ((unsigned char) *text < ' ' || *text == 0x7f ? ' ' : *text, stderr);
    left -= ((unsigned char) text[1] & 0xc0) != 0x80;
  }
  fputc ('\n', stderr);
  screen->drawn++;
}

static void draw_row (struct pkg_screen *screen, size_t index)
{
  const struct shown *row = &screen->rows[index];
  autofree char *percent = row->percent >= 0 ? xasprintf (" %3d %%", row->percent) : xstrdup ("");
  autofree char *line =
      xasprintf ("%s: %s%s %3.0f s  %s", name_of (screen, index), row->phase ? row->phase : "",
                 percent, clock_seconds_since (row->start_us), row->text ? row->text : "");

  draw_line (screen, line);
}

static void draw (struct pkg_screen *screen, bool now)
{
  size_t count = screen->call->names.count;

  if (!screen->terminal || screen->call->verbose)
    return;
  if (!now && clock_us () - screen->drawn_us < REDRAW_US)
    return;
  screen->drawn_us = clock_us ();
  clear (screen);
  for (size_t i = 0; i < count && screen->drawn < LINES_MAX; i++)
    if (screen->rows[i].active)
      draw_row (screen, i);
  if (screen->download)
    draw_line (screen, screen->download);
  fflush (stderr);
}

static void on_phase (void *data, const char *phase, size_t guests)
{
  struct pkg_screen *screen = data;

  screen->applying = strcmp (phase, "apply") == 0;
  free (screen->download);
  screen->download = NULL;
  clear (screen);
  if (!screen->terminal && !screen->applying && strcmp (phase, "lock") != 0)
    fprintf (stderr, "%s: %zu guest%s\n", phase, guests, guests == 1 ? "" : "s");
}

static void on_plan (void *data, const struct bulk_report *report)
{
  struct pkg_screen *screen = data;

  clear (screen);
  if (screen->call->options.check && !screen->call->context->json)
    pkg_print_plan (stdout, report);
  else
    pkg_print_plan (stderr, report);
}

static void on_start (void *data, size_t index)
{
  struct pkg_screen *screen = data;
  struct shown *row = &screen->rows[index];

  row->active = true;
  row->percent = -1;
  row->start_us = clock_us ();
  if (screen->applying && !screen->terminal)
    fprintf (stderr, "%s: %s (%zu of %zu)\n", name_of (screen, index), screen->call->title,
             ++screen->begun, screen->call->names.count);
  draw (screen, /* now= */ false);
}

static void on_note (void *data, const char *guests, const char *text)
{
  struct pkg_screen *screen = data;

  clear (screen);
  fprintf (stderr, "%s%s%s\n", guests ? guests : "", guests ? ": " : "", text);
  draw (screen, /* now= */ true);
}

static void on_line (void *data, size_t index, const char *line)
{
  struct pkg_screen *screen = data;
  struct shown *row = &screen->rows[index];

  if (screen->call->verbose) {
    bool named = screen->call->names.count > 1;

    fprintf (stderr, "%s%s%s\n", named ? name_of (screen, index) : "", named ? ": " : "", line);
    return;
  }
  if (!*line)
    return;
  free (row->text);
  row->text = xstrdup (line);
  draw (screen, /* now= */ false);
}

static void on_step (void *data, size_t index, const char *phase, int percent)
{
  struct pkg_screen *screen = data;
  struct shown *row = &screen->rows[index];

  free (row->phase);
  row->phase = xstrdup (phase);
  row->percent = percent;
  draw (screen, /* now= */ false);
}

static void on_download (void *data, uint64_t done, uint64_t total, uint64_t per_second)
{
  struct pkg_screen *screen = data;
  autofree char *done_text = format_bytes (done), *rate = format_bytes (per_second);
  autofree char *total_text = total == UINT64_MAX ? xstrdup ("?") : format_bytes (total);
  uint64_t left =
      per_second && total != UINT64_MAX && total > done ? (total - done) / per_second : 0;

  free (screen->download);
  screen->download =
      xasprintf ("download: %s of %s, %s/s, %" PRIu64 " s left", done_text, total_text, rate, left);
  draw (screen, /* now= */ false);
}

static void on_end (void *data, size_t index, const struct bulk_row *row)
{
  struct pkg_screen *screen = data;

  screen->rows[index].active = false;
  screen->ended++;
  if (row->outcome == BULK_SKIPPED || screen->call->options.check)
    return;
  clear (screen);
  fprintf (stderr, "%s: %s (%zu of %zu)\n", row->name, bulk_outcome_name (row->outcome),
           screen->ended, screen->call->names.count);
  draw (screen, /* now= */ true);
}

static void on_tail (void *data, size_t index, const char *line)
{
  struct pkg_screen *screen = data;

  clear (screen);
  fprintf (stderr, "%s: | %s\n", name_of (screen, index), line);
}

void pkg_screen_open (struct pkg_call *call, struct pkg_screen **ret_screen)
{
  struct pkg_screen *screen = xcalloc (1, sizeof *screen);
  struct bulk_options *options = &call->options;

  *screen = (struct pkg_screen){
      .call = call,
      .rows = xcalloc (call->names.count, sizeof *screen->rows),
      .terminal = isatty (STDERR_FILENO),
  };
  *ret_screen = screen;
  options->data = screen;
  if (call->options.check && !call->context->json)
    options->on_plan = on_plan;
  if (call->context->quiet)
    return;
  options->on_phase = on_phase;
  options->on_plan = on_plan;
  options->on_start = on_start;
  options->on_note = on_note;
  options->on_line = on_line;
  options->on_step = on_step;
  options->on_download = on_download;
  options->on_end = on_end;
  options->on_tail = call->verbose ? on_tail : NULL;
  if (call->names.count > 1) {
    autofree char *brief = names_brief (&call->names);

    fprintf (stderr, "%zu guests: %s\n", call->names.count, brief);
  }
}

void pkg_screen_free (struct pkg_screen *screen)
{
  clear (screen);
  for (size_t i = 0; i < screen->call->names.count; i++) {
    free (screen->rows[i].phase);
    free (screen->rows[i].text);
  }
  free (screen->rows);
  free (screen->download);
  free (screen);
}
