/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "logread.h"
#include "consolelog.h"
#include "util/fd.h"
#include "util/strbuf.h"

/* Some more than the parts together, as they go on growing. */
enum { TEXT_MAX = CONSOLELOG_PART_MAX * (CONSOLELOG_PARTS + 4), STEP = 64 << 10 };

void logread_close (struct logread *reader)
{
  if (reader->fd >= 0)
    close (reader->fd);
  reader->fd = -1;
}

static int open_part (const struct logread *reader, unsigned part, struct stat *ret_stat,
                      int *ret_fd, struct err *err)
{
  autofree char *name = consolelog_part_name (part);
  autoclose int fd = fd_open (reader->dir_fd, name, O_RDONLY | O_NONBLOCK, 0);

  *ret_fd = -1;
  if (fd < 0)
    return errno == ENOENT ? 0 : err_errno (err, "open log/%s", name);
  if (fstat (fd, ret_stat) < 0)
    return err_errno (err, "stat log/%s", name);
  *ret_fd = steal_fd (&fd);
  return 0;
}

static int read_rest (int fd, struct strbuf *text, struct err *err)
{
  autofree char *buffer = xmalloc (STEP);
  ssize_t n;

  while ((n = fd_read_full (fd, buffer, STEP)) > 0)
    strbuf_add (text, buffer, (size_t) n);
  return n < 0 ? err_errno (err, "read the log") : 0;
}

/* The parts, newest first: should they move meanwhile, one is seen twice and none is missed. */
static int open_parts (struct logread *reader, int fds[CONSOLELOG_PARTS], struct err *err)
{
  struct stat seen[CONSOLELOG_PARTS] = {0}, st;
  unsigned count = 0;

  for (unsigned part = 0; part < CONSOLELOG_PARTS; part++) {
    bool again = false;
    int fd;

    if (open_part (reader, part, &st, &fd, err) < 0)
      return -err->code;
    for (unsigned i = 0; fd >= 0 && i < count; i++)
      again |= seen[i].st_ino == st.st_ino;
    if (again)
      close (fd);
    if (fd < 0 || again)
      continue;
    seen[count] = st;
    fds[count++] = fd;
  }
  return 0;
}

/* Where the last @lines lines begin; a last one without a newline counts. */
static size_t find_lines (const struct strbuf *text, int64_t lines)
{
  size_t at = text->len;

  if (lines < 0)
    return 0;
  if (lines == 0)
    return at;
  if (at && text->data[at - 1] == '\n')
    at--;
  while (at > 0) {
    if (text->data[at - 1] == '\n' && --lines == 0)
      return at;
    at--;
  }
  return 0;
}

int logread_start (struct logread *reader, int dir_fd, int64_t lines, logread_fn *output,
                   void *data, struct err *err)
{
  autostrbuf struct strbuf text = STRBUF_INIT (TEXT_MAX);
  int fds[CONSOLELOG_PARTS], ret;

  *reader = (struct logread){.dir_fd = dir_fd, .fd = -1, .output = output, .data = data};
  for (unsigned i = 0; i < CONSOLELOG_PARTS; i++)
    fds[i] = -1;
  ret = open_parts (reader, fds, err);
  for (unsigned i = CONSOLELOG_PARTS; i-- > 0;) {
    if (ret == 0 && fds[i] >= 0)
      ret = read_rest (fds[i], &text, err);
    if (i > 0)
      cleanup_close (&fds[i]);
  }
  reader->fd = fds[0];
  if (ret < 0)
    return ret;
  size_t at = find_lines (&text, lines);
  return text.len > at ? output (data, text.data + at, text.len - at, err) : 0;
}

/* Gives the rest of the part that is open. 1 when there was some. */
static int give_rest (struct logread *reader, struct err *err)
{
  autostrbuf struct strbuf text = STRBUF_INIT (TEXT_MAX);

  if (reader->fd < 0)
    return 0;
  if (read_rest (reader->fd, &text, err) < 0 ||
      (text.len && reader->output (reader->data, text.data, text.len, err) < 0))
    return -err->code;
  return text.len > 0;
}

/* The part behind the one that is open, which is known by its inode: it cannot be another's as long
 * as it is open. When it is gone already it is the oldest one, and some were lost. */
static int find_next (const struct logread *reader, int *ret_fd, bool *ret_lost, struct err *err)
{
  autoclose int newer = -1;
  struct stat own, st;

  if (reader->fd >= 0 && fstat (reader->fd, &own) < 0)
    return err_errno (err, "stat the log");
  *ret_lost = false;
  for (unsigned part = 0; part < CONSOLELOG_PARTS; part++) {
    int fd;

    if (open_part (reader, part, &st, &fd, err) < 0)
      return -err->code;
    if (fd < 0)
      continue;
    if (reader->fd >= 0 && st.st_ino == own.st_ino) {
      close (fd);
      *ret_fd = steal_fd (&newer);
      return 0;
    }
    cleanup_close (&newer);
    newer = fd;
  }
  *ret_lost = reader->fd >= 0 && newer >= 0;
  *ret_fd = steal_fd (&newer);
  return 0;
}

int logread_more (struct logread *reader, struct err *err)
{
  static const char text[] = "--- some of the log was lost here: it came too fast ---\n";
  int some = 0;

  for (;;) {
    bool lost = false;
    int next = -1, given = give_rest (reader, err);

    if (given < 0 || find_next (reader, &next, &lost, err) < 0)
      return -err->code;
    some |= given;
    if (next < 0)
      return some;
    /* It had grown before it moved; now it does not any more. */
    given = give_rest (reader, err);
    logread_close (reader);
    reader->fd = next;
    if (given < 0 || (lost && reader->output (reader->data, text, sizeof text - 1, err) < 0))
      return -err->code;
  }
}
