/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "strbuf.h"
#include <stdarg.h>

void strbuf_release (struct strbuf *sb)
{
  int saved = errno;

  free (sb->data);
  sb->data = NULL;
  sb->len = sb->size = 0;
  errno = saved;
}

void strbuf_truncate (struct strbuf *sb, size_t len)
{
  if (len < sb->len) {
    sb->len = len;
    sb->data[len] = '\0';
  }
}

bool strbuf_add (struct strbuf *sb, const void *data, size_t len)
{
  if (len > sb->maximum || sb->len > sb->maximum - len) {
    sb->failed = true;
    return false;
  }
  if (sb->len + len + 1 > sb->size) {
    size_t size = sb->size ? sb->size : 64;

    while (size < sb->len + len + 1)
      size *= 2;
    sb->data = xreallocarray (sb->data, size, 1);
    sb->size = size;
  }
  if (len)
    memcpy (sb->data + sb->len, data, len);
  sb->len += len;
  sb->data[sb->len] = '\0';
  return true;
}

bool strbuf_adds (struct strbuf *sb, const char *s)
{
  return strbuf_add (sb, s, strlen (s));
}

bool strbuf_addf (struct strbuf *sb, const char *format, ...)
{
  autofree char *text = NULL;
  va_list ap;

  va_start (ap, format);
  int len = vasprintf (&text, format, ap);
  va_end (ap);
  if (len < 0) {
    text = NULL;
    err_out_of_memory ();
  }
  return strbuf_add (sb, text, (size_t) len);
}

int hex_digit (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return -1;
}

const char *strbuf_str (const struct strbuf *sb)
{
  return sb->data ? sb->data : "";
}

char *strbuf_steal (struct strbuf *sb)
{
  char *s = sb->data ? sb->data : xstrdup ("");

  sb->data = NULL;
  sb->len = sb->size = 0;
  return s;
}

size_t strbuf_push_name (struct strbuf *sb, const char *name)
{
  if (sb->len)
    return strbuf_push_below (sb, name);
  strbuf_adds (sb, name);
  return 0;
}

size_t strbuf_push_below (struct strbuf *sb, const char *name)
{
  size_t before = sb->len;

  strbuf_add (sb, "/", 1);
  strbuf_adds (sb, name);
  return before;
}
