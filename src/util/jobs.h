/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work for many things at once, in a child process for each: nothing is shared with the others, and
 * one that fails or dies takes nobody with it.
 *
 * A child is in a process group of its own, so that a terminal's signals come to the parent alone,
 * which passes each on once (the caller has installed util/interrupt.h's handlers) and begins no
 * more. When the parent dies, the children get SIGTERM. A child has ended when its process has: a
 * process that it left behind with its output open is not waited for. */
#ifndef VG_UTIL_JOBS_H
#define VG_UTIL_JOBS_H

#include "err.h"
#include <stdbool.h>
#include <stddef.h>

struct jobs {
  size_t parallel; /* at least 1 */
  void *data;

  /* The next job that may begin now; false: none now, or none any more. Asked again each time that
   * a job has ended. */
  bool (*next) (void *data, size_t *ret_job);

  /* Runs in the child. An exit status (0 to 255), or negative with @err set. */
  int (*run) (void *data, size_t job, struct err *err);

  /* Gets what the child, and those that it runs, wrote to stdout (@stream 1) and stderr (2). NULL:
   * they write to this process's. Negative with @err: the jobs are ended by SIGTERM. */
  int (*output) (void *data, size_t job, int stream, const char *bytes, size_t len,
                 struct err *err);

  /* The job has ended: with @status; or, when @job_err->code is not 0, it failed. Negative with
   * @err as above. */
  int (*end) (void *data, size_t job, int status, const struct err *job_err, struct err *err);
};

/* Runs jobs until there are no more. Negative when the machinery or a callback failed, and
 * ERR_INTERRUPTED after a signal; all that had begun have ended then. */
int jobs_run (const struct jobs *jobs, struct err *err);

#endif
