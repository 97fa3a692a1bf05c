/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fanout.h"
#include "cmd.h"
#include "util/interrupt.h"
#include "util/jobs.h"

enum { JOBS_MAX = 256 };

struct fan {
  const struct names *names;
  fan_out_fn *run;
  void *data;
  struct err *errs;
  size_t next;
};

static bool next_job (void *data, size_t *ret_job)
{
  struct fan *fan = data;

  if (fan->next >= fan->names->count)
    return false;
  *ret_job = fan->next++;
  return true;
}

static int run_job (void *data, size_t job, struct err *err)
{
  struct fan *fan = data;

  return fan->run (fan->data, fan->names->items[job], err);
}

static int end_job (void *data, size_t job, int status, const struct err *job_err, struct err *err)
{
  struct fan *fan = data;

  (void) status;
  (void) err;
  if (job_err->code)
    err_code (&fan->errs[job], job_err->code, "%s", err_text (job_err));
  return 0;
}

int fan_out (const struct names *names, unsigned parallel, fan_out_fn *run, void *data,
             struct err *errs, struct err *err)
{
  struct fan fan = {.names = names, .run = run, .data = data, .errs = errs};
  struct jobs jobs = {
      .parallel = parallel,
      .data = &fan,
      .next = next_job,
      .run = run_job,
      .end = end_job,
  };

  if (names->count > 1)
    return jobs_run (&jobs, err);
  run (data, names->items[0], &errs[0]);
  return 0;
}

int fan_out_conclude (const struct names *names, struct err *errs, struct err *err)
{
  size_t failed = 0;
  bool cut_short = err->code != 0;

  for (size_t i = 0; i < names->count; i++) {
    failed += errs[i].code != 0;
    if (errs[i].code && names->count > 1)
      print_error ("%s", err_text (&errs[i]));
    if (errs[i].code && names->count == 1)
      err_code (err, errs[i].code, "%s", err_text (&errs[i]));
    err_release (&errs[i]);
  }
  if (!failed || cut_short || names->count == 1)
    return -err->code;
  return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, names->count);
}

int parse_jobs (const char *text, unsigned fallback, unsigned *ret_jobs, struct err *err)
{
  char *end;

  *ret_jobs = fallback;
  if (!text)
    return 0;
  unsigned long jobs = strtoul (text, &end, 10);
  if (*text < '0' || *text > '9' || *end || jobs < 1 || jobs > JOBS_MAX)
    return err_code (err, ERR_USAGE, "bad --jobs \"%s\": a number from 1 to %d is expected", text,
                     JOBS_MAX);
  *ret_jobs = (unsigned) jobs;
  return 0;
}
