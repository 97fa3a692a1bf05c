/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "err.h"
#include <stdarg.h>

static char *format_text (const char *format, va_list ap) __attribute__ ((format (printf, 1, 0)));

static char *format_text (const char *format, va_list ap)
{
  char *text;

  if (vasprintf (&text, format, ap) < 0)
    err_out_of_memory ();
  return text;
}

int err_code (struct err *err, int code, const char *format, ...)
{
  va_list ap;

  va_start (ap, format);
  char *text = format_text (format, ap);
  va_end (ap);
  free (err->msg);
  err->msg = text;
  err->code = code > 0 ? code : EINVAL;
  return -err->code;
}

int err_errno (struct err *err, const char *format, ...)
{
  int saved = errno;
  va_list ap;

  va_start (ap, format);
  char *text = format_text (format, ap);
  va_end (ap);
  int ret = err_code (err, saved, "%s: %s", text, strerror (saved));
  free (text);
  errno = saved;
  return ret;
}

int err_wrap (struct err *err, const char *format, ...)
{
  va_list ap;

  va_start (ap, format);
  char *text = format_text (format, ap);
  va_end (ap);
  char *inner = err->msg;
  err->msg = xasprintf ("%s: %s", text, inner ? inner : "unknown error");
  free (inner);
  free (text);
  if (err->code <= 0)
    err->code = EINVAL;
  return -err->code;
}

void err_release (struct err *err)
{
  if (!err)
    return;
  free (err->msg);
  err->msg = NULL;
  err->code = 0;
}

const char *err_text (const struct err *err)
{
  return err->msg ? err->msg : "no error";
}

int err_exit_status (const struct err *err)
{
  switch (err->code) {
  case 0:
    return 0;
  case ERR_USAGE:
    return 2;
  case ERR_SOME_FAILED:
    return 3;
  case ERR_NOTHING:
    return 4;
  case ERR_NO_GUEST:
    return 5;
  case ERR_NO_SPACE:
    return 6;
  case ERR_LOCKED:
    return 7;
  case ERR_INTERRUPTED:
    return 130;
  default:
    return 1;
  }
}

void err_out_of_memory (void)
{
  static const char text[] = "vguest: out of memory\n";

  if (write (STDERR_FILENO, text, sizeof text - 1) < 0)
    _exit (1);
  _exit (1);
}

void err_stop (const struct err *err)
{
  fprintf (stderr, "vguest: %s\n", err_text (err));
  _exit (err_exit_status (err));
}

void *xmalloc (size_t size)
{
  void *p = malloc (size ? size : 1);

  if (!p)
    err_out_of_memory ();
  return p;
}

void *xcalloc (size_t count, size_t size)
{
  void *p = calloc (count ? count : 1, size ? size : 1);

  if (!p)
    err_out_of_memory ();
  return p;
}

void *xreallocarray (void *old, size_t count, size_t size)
{
  void *p = reallocarray (old, count ? count : 1, size ? size : 1);

  if (!p)
    err_out_of_memory ();
  return p;
}

char *xstrdup (const char *s)
{
  char *p = strdup (s);

  if (!p)
    err_out_of_memory ();
  return p;
}

char *xstrndup (const char *s, size_t n)
{
  char *p = strndup (s, n);

  if (!p)
    err_out_of_memory ();
  return p;
}

char *xasprintf (const char *format, ...)
{
  va_list ap;

  va_start (ap, format);
  char *text = format_text (format, ap);
  va_end (ap);
  return text;
}
