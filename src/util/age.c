/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "age.h"
#include <time.h>

int age_parse (const char *text, int64_t *ret_seconds, struct err *err)
{
  static const struct {
    char letter;
    int64_t seconds;
  } units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
  size_t digits = strspn (text, "0123456789");

  if (digits && digits <= 9 && (!text[digits] || !text[digits + 1]))
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
      if (text[digits] == units[i].letter) {
        *ret_seconds = (int64_t) strtoll (text, NULL, 10) * units[i].seconds;
        return 0;
      }
  return err_code (err, ERR_USAGE, "an age is expected, such as 90m, 12h, 7d or 4w, not \"%.40s\"",
                   text);
}

int64_t age_of_stamp (const char *stamp)
{
  struct tm tm = {0};
  const char *end = strptime (stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);

  if (!end || *end)
    return -1;
  time_t then = timegm (&tm), now = time (NULL);
  return now > then ? (int64_t) (now - then) : 0;
}

char *age_format (int64_t seconds)
{
  if (seconds < 0)
    return xstrdup ("-");
  if (seconds >= 2 * 86400)
    return xasprintf ("%lld d", (long long) (seconds / 86400));
  if (seconds >= 2 * 3600)
    return xasprintf ("%lld h", (long long) (seconds / 3600));
  if (seconds >= 120)
    return xasprintf ("%lld min", (long long) (seconds / 60));
  return xasprintf ("%lld s", (long long) seconds);
}
