/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "runlog.h"
#include "util/dirread.h"
#include "util/fd.h"
#include <stdarg.h>
#include <time.h>

/* Names begin with the time, so the oldest come first. */
static int prune (int log_fd, struct err *err)
{
  autodirlist struct dirlist list = {0};
  size_t logs = 0;

  if (dirread_all (log_fd, &list, err) < 0)
    return -err->code;
  for (size_t i = 0; i < list.count; i++)
    logs += list.items[i].type == DT_REG;
  for (size_t i = 0; i < list.count && logs > RUNLOG_KEEP; i++) {
    if (list.items[i].type != DT_REG)
      continue;
    if (unlinkat (log_fd, list.items[i].name, 0) < 0 && errno != ENOENT)
      return err_errno (err, "remove the old log %s", list.items[i].name);
    logs--;
  }
  return 0;
}

void runlog_start (void (*on_line) (void *data, const char *line), void *data,
                   struct runlog *ret_log)
{
  *ret_log = (struct runlog){
      .fd = -1,
      .line = STRBUF_INIT (RUNLOG_LINE_MAX),
      .on_line = on_line,
      .data = data,
  };
}

int runlog_open (struct vroot *root, struct guest *guest, const char *tool,
                 void (*on_line) (void *data, const char *line), void *data, struct runlog *ret_log,
                 struct err *err)
{
  autoclose int log_fd = fd_make_dir (guest->fd, "log", 0700);
  char stamp[32];
  time_t now = time (NULL);
  struct tm tm;

  if (log_fd < 0)
    return err_errno (err, "open the log directory of guest %s", guest->name);
  if (!gmtime_r (&now, &tm) || !strftime (stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm))
    return err_code (err, EOVERFLOW, "the time cannot be written");
  for (int number = 1;; number++) {
    autofree char *name = number == 1 ? xasprintf ("%s-%s.log", stamp, tool)
                                      : xasprintf ("%s-%s-%d.log", stamp, tool, number);
    autoclose int fd = fd_open (log_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);

    if (fd < 0 && errno == EEXIST && number < 1000)
      continue;
    if (fd < 0)
      return err_errno (err, "create the log %s of guest %s", name, guest->name);
    if (prune (log_fd, err) < 0)
      return err_wrap (err, "guest %s", guest->name);
    runlog_start (on_line, data, ret_log);
    ret_log->fd = steal_fd (&fd);
    ret_log->path = xasprintf ("%s/guests/%s/log/%s", root->path, guest->name, name);
    return 0;
  }
}

static void end_line (struct runlog *log)
{
  char *line = strbuf_steal (&log->line);
  size_t at = log->lines++ % RUNLOG_TAIL;

  for (char *p = line; *p; p++)
    if ((unsigned char) *p < ' ' || *p == 0x7f)
      *p = ' ';
  free (log->tail[at]);
  log->tail[at] = line;
  if (log->on_line)
    log->on_line (log->data, line);
}

static void cut_lines (struct runlog *log, const char *bytes, size_t len)
{
  while (len) {
    const char *newline = memchr (bytes, '\n', len);
    size_t part = newline ? (size_t) (newline - bytes) : len;
    size_t room = RUNLOG_LINE_MAX - log->line.len;

    strbuf_add (&log->line, bytes, part < room ? part : room);
    if (newline)
      end_line (log);
    bytes += part + (newline != NULL);
    len -= part + (newline != NULL);
  }
}

void runlog_output (void *data, const char *bytes, size_t len)
{
  struct runlog *log = data;

  /* A full disk must not stop the package manager half way: it is told at the end. */
  if (log->fd >= 0 && fd_write_all (log->fd, bytes, len) < 0 && !log->write_errno)
    log->write_errno = errno;
  cut_lines (log, bytes, len);
}

void runlog_note (struct runlog *log, const char *format, ...)
{
  autofree char *text = NULL, *line = NULL;
  va_list ap;

  va_start (ap, format);
  if (vasprintf (&text, format, ap) < 0)
    err_out_of_memory ();
  va_end (ap);
  runlog_end (log);
  line = xasprintf ("vguest: %s\n", text);
  runlog_output (log, line, strlen (line));
}

void runlog_end (struct runlog *log)
{
  if (log->line.len)
    end_line (log);
}

const char *runlog_tail (const struct runlog *log, size_t i)
{
  size_t count = log->lines < RUNLOG_TAIL ? log->lines : RUNLOG_TAIL;

  return i < count ? log->tail[(log->lines - count + i) % RUNLOG_TAIL] : NULL;
}

void runlog_release (struct runlog *log)
{
  int saved = errno;

  if (log->fd >= 0)
    close (log->fd);
  for (size_t i = 0; i < RUNLOG_TAIL; i++)
    free (log->tail[i]);
  free (log->path);
  strbuf_release (&log->line);
  *log = (struct runlog){.fd = -1};
  errno = saved;
}
