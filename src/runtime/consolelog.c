/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "consolelog.h"
#include "util/fd.h"
#include "util/strbuf.h"
#include <inttypes.h>

/* What one write may grow to, with a time in front of each of its bytes. */
enum { STEP = 4096, STEP_MAX = 256 << 10 };

char *consolelog_part_name (unsigned part)
{
  return part ? xasprintf ("%s.%u", CONSOLELOG_NAME, part) : xstrdup (CONSOLELOG_NAME);
}

static void open_part (struct consolelog *log)
{
  struct stat st;

  log->fd = fd_open (log->dir_fd, CONSOLELOG_NAME, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (log->fd < 0)
    return;
  if (fstat (log->fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    close (log->fd);
    log->fd = -1;
    return;
  }
  log->size = (uint64_t) st.st_size;
}

/* The parts move up by one. What fails here only makes the log shorter, or a part longer. */
static void rotate (struct consolelog *log)
{
  close (log->fd);
  log->fd = -1;
  for (unsigned part = CONSOLELOG_PARTS - 1; part > 0; part--) {
    autofree char *from = consolelog_part_name (part - 1);
    autofree char *to = consolelog_part_name (part);

    if (renameat (log->dir_fd, from, log->dir_fd, to) < 0 && errno != ENOENT)
      break;
  }
  open_part (log);
  if (log->fd >= 0 && log->size >= CONSOLELOG_PART_MAX && ftruncate (log->fd, 0) == 0)
    log->size = 0;
}

static void lose (struct consolelog *log, size_t bytes)
{
  log->lost += bytes;
  log->lost_errno = errno;
}

/* Writes as much as can be; returns how much. */
static size_t write_part (struct consolelog *log, const char *bytes, size_t len)
{
  size_t done = 0;

  while (done < len) {
    ssize_t n = write (log->fd, bytes + done, len - done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += (size_t) n;
  }
  log->size += done;
  return done;
}

/* Tells of what was lost before. Returns false when even that cannot be written. */
static bool tell_lost (struct consolelog *log)
{
  if (!log->lost)
    return true;
  autofree char *text = xasprintf ("%s--- vguest: %" PRIu64 " bytes were lost here: %s ---\n",
                                   log->in_line ? "\n" : "", log->lost, strerror (log->lost_errno));
  size_t len = strlen (text);
  size_t done = write_part (log, text, len);
  if (done < len) {
    /* Half of it is worse than nothing. */
    if (done && ftruncate (log->fd, (off_t) (log->size - done)) == 0)
      log->size -= done;
    return false;
  }
  log->lost = 0;
  log->in_line = false;
  return true;
}

/* Writes @text, whose last line is open when @in_line, over as many parts as it takes. */
static void put (struct consolelog *log, const char *text, size_t len, bool in_line)
{
  if (log->fd < 0)
    open_part (log);
  while (len) {
    if (log->fd >= 0 && log->size >= CONSOLELOG_PART_MAX)
      rotate (log);
    if (log->fd < 0 || log->size >= CONSOLELOG_PART_MAX || !tell_lost (log)) {
      lose (log, len);
      return;
    }
    size_t room = CONSOLELOG_PART_MAX > log->size ? (size_t) (CONSOLELOG_PART_MAX - log->size) : 0;
    size_t want = len < room ? len : room;
    size_t done = write_part (log, text, want);
    if (done)
      log->in_line = text[done - 1] != '\n';
    text += done;
    len -= done;
    if (done < want) {
      lose (log, len);
      return;
    }
  }
  log->in_line = in_line;
}

static const char *stamp (struct consolelog *log)
{
  time_t now = time (NULL);
  struct tm tm;

  if (now != log->stamp_at || !log->stamp[0]) {
    if (!localtime_r (&now, &tm) ||
        strftime (log->stamp, sizeof log->stamp, "%Y-%m-%dT%H:%M:%S%z ", &tm) == 0)
      log->stamp[0] = '\0';
    log->stamp_at = now;
  }
  return log->stamp;
}

/* Adds @bytes to @text with times, without the "\r" before newlines; *in_line goes along. */
static void format (struct consolelog *log, const char *bytes, size_t len, bool *in_line,
                    struct strbuf *text)
{
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] == '\r') {
      log->after_cr = true;
      continue;
    }
    if (!*in_line)
      strbuf_adds (text, stamp (log));
    if (log->after_cr && bytes[i] != '\n')
      strbuf_add (text, "\r", 1);
    log->after_cr = false;
    strbuf_add (text, bytes + i, 1);
    *in_line = bytes[i] != '\n';
  }
}

void consolelog_open (struct consolelog *log, int dir_fd)
{
  *log = (struct consolelog){.dir_fd = dir_fd, .fd = -1};
  tzset ();
  open_part (log);
}

void consolelog_write (struct consolelog *log, const char *bytes, size_t len)
{
  if (log->dir_fd < 0)
    return;
  while (len) {
    autostrbuf struct strbuf text = STRBUF_INIT (STEP_MAX);
    size_t step = len < STEP ? len : STEP;
    bool in_line = log->in_line;

    format (log, bytes, step, &in_line, &text);
    put (log, text.data, text.len, in_line);
    bytes += step;
    len -= step;
  }
}

void consolelog_note (struct consolelog *log, const char *text)
{
  if (log->dir_fd < 0)
    return;
  log->after_cr = false;
  autofree char *line = xasprintf ("%s%s--- %s ---\n", log->in_line ? "\n" : "", stamp (log), text);
  put (log, line, strlen (line), /* in_line= */ false);
}

void consolelog_close (struct consolelog *log)
{
  if (log->fd >= 0)
    close (log->fd);
  if (log->dir_fd >= 0)
    close (log->dir_fd);
  *log = (struct consolelog){.dir_fd = -1, .fd = -1};
}
