/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch_header.h"
#include <strings.h>

void fetch_headers_release (struct fetch_headers *headers)
{
  for (size_t i = 0; i < headers->count; i++)
    free (headers->lines[i]);
  free (headers->lines);
  *headers = (struct fetch_headers){0};
}

static bool is_space (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_control (char c)
{
  return (unsigned char) c < ' ' || c == 0x7f;
}

/* RFC 9110, token. */
static bool is_name (const char *name, size_t len)
{
  static const char others[] = "!#$%&'*+-.^_`|~";

  for (size_t i = 0; i < len; i++) {
    char c = name[i];

    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
          (c && strchr (others, c))))
      return false;
  }
  return len > 0;
}

static size_t trim (const char *text, size_t len)
{
  while (len && is_space (text[len - 1]))
    len--;
  return len;
}

void fetch_headers_add (struct fetch_headers *headers, const char *line, size_t len)
{
  len = trim (line, len);
  if (len >= 5 && memcmp (line, "HTTP/", 5) == 0) {
    fetch_headers_release (headers);
    return;
  }
  const char *colon = memchr (line, ':', len);
  if (!colon || !is_name (line, (size_t) (colon - line)) || len > FETCH_HEADER_LINE_MAX ||
      headers->count == FETCH_HEADERS_MAX || headers->bytes + len > FETCH_HEADERS_BYTES)
    return;
  const char *value = colon + 1, *end = line + len;
  while (value < end && is_space (*value))
    value++;
  for (const char *p = value; p < end; p++)
    if (is_control (*p) && *p != '\t')
      return;
  headers->lines = xreallocarray (headers->lines, headers->count + 1, sizeof headers->lines[0]);
  headers->lines[headers->count++] =
      xasprintf ("%.*s: %.*s", (int) (colon - line), line, (int) (end - value), value);
  headers->bytes += len;
}

const char *fetch_headers_find (char *const *lines, size_t count, const char *name)
{
  size_t len = strlen (name);

  for (size_t i = 0; i < count; i++)
    if (strncasecmp (lines[i], name, len) == 0 && lines[i][len] == ':')
      return lines[i] + len + 2;
  return NULL;
}

/* Decimal digits, at least one, below UINT64_MAX. */
static bool read_number (const char **text, uint64_t *ret_number)
{
  uint64_t number = 0;
  const char *p = *text;

  if (*p < '0' || *p > '9')
    return false;
  for (; *p >= '0' && *p <= '9'; p++) {
    unsigned digit = (unsigned) (*p - '0');

    if (number > (UINT64_MAX - 1 - digit) / 10)
      return false;
    number = number * 10 + digit;
  }
  *text = p;
  *ret_number = number;
  return true;
}

bool fetch_content_range (const char *value, uint64_t *ret_from, uint64_t *ret_to,
                          uint64_t *ret_total)
{
  uint64_t from = UINT64_MAX, to = UINT64_MAX, total = UINT64_MAX;

  if (strncasecmp (value, "bytes", 5) != 0 || value[5] != ' ')
    return false;
  value += 6;
  if (*value == '*')
    value++;
  else if (!read_number (&value, &from) || *value++ != '-' || !read_number (&value, &to) ||
           to < from)
    return false;
  if (*value++ != '/')
    return false;
  if (*value == '*' && from != UINT64_MAX)
    value++;
  else if (!read_number (&value, &total))
    return false;
  if (*value || (from != UINT64_MAX && to >= total))
    return false;
  *ret_from = from;
  *ret_to = to;
  *ret_total = total;
  return true;
}

const char *fetch_validator (const struct fetch_headers *headers)
{
  const char *etag = fetch_headers_find (headers->lines, headers->count, "ETag");
  size_t len = etag ? strlen (etag) : 0;

  if (len >= 2 && etag[0] == '"' && strchr (etag + 1, '"') == etag + len - 1)
    return etag;
  return fetch_headers_find (headers->lines, headers->count, "Last-Modified");
}

bool fetch_header_safe (const char *text)
{
  for (; *text; text++)
    if (is_control (*text) && *text != '\t')
      return false;
  return true;
}
