/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME logs: what the guest's init wrote. */
#include "command_options.h"
#include "runtime/logread.h"
#include "util/fd.h"
#include <poll.h>
#include <sys/inotify.h>

static const char usage[] =
    "Usage: vguest NAME logs [-f] [-n LINES]\n"
    "Print what the guest's init wrote, of this run and earlier ones, each line with its time.\n"
    "--follow goes on with what comes, until the guest stops.\n";

/* How often a guest is looked at when nothing comes. */
enum { CHECK_MS = 500, SEQUENCE_MAX = 32 };

/* A guest may write what makes a terminal do things: only text and colours get through to one. */
struct filter {
  bool on;
  enum { TEXT, ESCAPE, SEQUENCE, COMMAND, LATIN } state;
  char sequence[SEQUENCE_MAX];
  size_t len;
};

static void put (const char *bytes, size_t len)
{
  fwrite (bytes, 1, len, stdout);
}

/* ESC [ … m sets colours; the other sequences move, erase, ask or rename. */
static void filter_sequence (struct filter *filter, char c)
{
  if (filter->len < SEQUENCE_MAX)
    filter->sequence[filter->len++] = c;
  if ((c >= '0' && c <= '9') || c == ';')
    return;
  if (c == 'm' && filter->len < SEQUENCE_MAX)
    put (filter->sequence, filter->len);
  /* Intermediate and private bytes go on, until a letter ends it. */
  if (c >= '@' || c < ' ')
    filter->state = TEXT;
  else
    filter->len = SEQUENCE_MAX;
}

static void filter_byte (struct filter *filter, char c)
{
  unsigned char byte = (unsigned char) c;

  if (c == '\n' && filter->state != TEXT)
    filter->state = TEXT;
  switch (filter->state) {
  case ESCAPE:
    filter->state = c == '[' ? SEQUENCE : strchr ("]PX^_", c) ? COMMAND : TEXT;
    filter->len = 2;
    memcpy (filter->sequence, "\033[", 2);
    return;
  case SEQUENCE:
    filter_sequence (filter, c);
    return;
  case COMMAND: /* to BEL, or ESC \ */
    if (c == '\a' || c == '\033')
      filter->state = c == '\a' ? TEXT : ESCAPE;
    return;
  case LATIN: /* U+0080 to U+009F are control characters as well */
    filter->state = TEXT;
    if (byte >= 0xa0) {
      put ("\xc2", 1);
      put (&c, 1);
    }
    return;
  default:
    break;
  }
  if (c == '\033')
    filter->state = ESCAPE;
  else if (byte == 0xc2)
    filter->state = LATIN;
  else if (c == '\n' || c == '\t' || (byte >= ' ' && byte != 0x7f))
    put (&c, 1);
}

static int output (void *data, const char *bytes, size_t len, struct err *err)
{
  struct filter *filter = data;

  if (!filter->on)
    put (bytes, len);
  for (size_t i = 0; filter->on && i < len; i++)
    filter_byte (filter, bytes[i]);
  if (fflush (stdout) != 0)
    return err_errno (err, "write the log");
  return 0;
}

/* Until the guest has stopped and everything was printed. */
static int follow (struct guest *guest, struct logread *reader, struct err *err)
{
  autoclose int watch = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
  autofree char *path = fd_proc_path (reader->dir_fd, NULL);

  if (watch < 0 || inotify_add_watch (watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
    return err_errno (err, "watch the log");
  for (;;) {
    struct pollfd wait = {.fd = watch, .events = POLLIN};
    char events[4096];
    int running = guest_running (guest, err);

    if (running < 0 || logread_more (reader, err) < 0)
      return -err->code;
    if (!running)
      return 0;
    if (poll (&wait, 1, CHECK_MS) < 0 && errno != EINTR)
      return err_errno (err, "wait for the log");
    while (read (watch, events, sizeof events) > 0)
      ;
  }
}

static int parse_lines (const char *text, int64_t *ret_lines, struct err *err)
{
  char *end;

  *ret_lines = -1;
  if (!text)
    return 0;
  errno = 0;
  long long value = strtoll (text, &end, 10);
  if (*text < '0' || *text > '9' || *end || errno)
    return err_code (err, ERR_USAGE, "bad --lines \"%s\": a number is expected", text);
  *ret_lines = value;
  return 0;
}

int cmd_logs (struct context *context, int argc, char **argv, struct err *err)
{
  const char *lines_text = NULL;
  bool following = false;
  const struct option_spec specs[] = {
      {"follow", 'f', NULL, "go on until the guest stops", &following, NULL, NULL},
      {"lines", 'n', "LINES", "only the last ones", NULL, &lines_text, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autonames struct names names = {0};
  autologread struct logread reader = {.fd = -1};
  struct filter filter = {.on = isatty (STDOUT_FILENO)};
  int first = 0, dashes = 0;
  int64_t lines;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0 ||
      parse_lines (lines_text, &lines, err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  if (context_select_one (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0 ||
      guest_open (root, names.items[0], GUEST_PEEK, &guest, err) < 0)
    return -err->code;
  autoclose int dir_fd = fd_open_dir (guest->fd, "log");
  if (dir_fd < 0)
    return err_errno (err, "guest %s: open its log directory", guest->name);
  if (logread_start (&reader, dir_fd, lines, output, &filter, err) < 0 ||
      (following && follow (guest, &reader, err) < 0))
    return err_wrap (err, "guest %s", guest->name);
  if (filter.on)
    put ("\033[0m", 4);
  return 0;
}
