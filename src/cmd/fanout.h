/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One step for each of many guests, several at once. */
#ifndef VG_CMD_FANOUT_H
#define VG_CMD_FANOUT_H

#include "guest/names.h"

/* Runs in one guest; opens what it needs itself. May print. */
typedef int fan_out_fn (void *data, const char *name, struct err *err);

/* Calls @run for each of @names: here when it is one, else in a process for each, at most @parallel
 * at once (util/jobs.h). Their errors go to @errs[], as many as names. Negative after a signal, and
 * when the machinery failed. */
int fan_out (const struct names *names, unsigned parallel, fan_out_fn *run, void *data,
             struct err *errs, struct err *err);

/* The end of such a command: prints the errors of several guests, and releases them. With one guest
 * its error is the command's; with several ERR_SOME_FAILED. An error that is in @err already stays.
 */
int fan_out_conclude (const struct names *names, struct err *errs, struct err *err);

/* The number of --jobs, or @fallback when @text is NULL. */
int parse_jobs (const char *text, unsigned fallback, unsigned *ret_jobs, struct err *err);

#endif
