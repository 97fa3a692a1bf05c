/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clock.h"

char *clock_utc (bool compact)
{
  const char *dash = compact ? "" : "-", *colon = compact ? "" : ":";
  time_t seconds = time (NULL);
  struct tm tm;

  if (!gmtime_r (&seconds, &tm))
    return xstrdup ("unknown");
  return xasprintf ("%04d%s%02d%s%02dT%02d%s%02d%s%02dZ", tm.tm_year + 1900, dash, tm.tm_mon + 1,
                    dash, tm.tm_mday, tm.tm_hour, colon, tm.tm_min, colon, tm.tm_sec);
}
