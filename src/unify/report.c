/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unify.h"

void unify_report_release (struct unify_report *report)
{
  int saved = errno;

  free (report->first_error);
  report->first_error = NULL;
  errno = saved;
}

void unify_report_add (struct unify_report *total, const struct unify_report *more)
{
  total->files += more->files;
  total->bytes += more->bytes;
  total->linked += more->linked;
  total->linked_bytes += more->linked_bytes;
  total->published += more->published;
  total->reflinked += more->reflinked;
  total->reflinked_bytes += more->reflinked_bytes;
  total->waiting += more->waiting;
  total->waiting_bytes += more->waiting_bytes;
  total->moved += more->moved;
  total->dropped += more->dropped;
  total->failed += more->failed;
  if (!total->first_error && more->first_error)
    total->first_error = xstrdup (more->first_error);
}

void unify_report_fail (struct unify_report *report, struct err *err)
{
  report->failed++;
  if (!report->first_error)
    report->first_error = xstrdup (err_text (err));
  err_release (err);
}
