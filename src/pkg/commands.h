/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of a driver's steps, one after another in one run, and what each of them said. */
#ifndef VG_PKG_COMMANDS_H
#define VG_PKG_COMMANDS_H

#include "pkg/bulk_internal.h"
#include "pkg/run.h"

enum { COMMANDS_MAX = 8, COMMANDS_OUTPUT_MAX = 64 << 20 };

struct pkg_commands {
  struct bundle_command items[COMMANDS_MAX];
  enum pkg_step steps[COMMANDS_MAX];
  struct names words[COMMANDS_MAX];   /* owned; the arguments */
  const char **args[COMMANDS_MAX];    /* owned; the same as arrays */
  struct strbuf output[COMMANDS_MAX]; /* owned; standard output of those that are taken */
  bool taken[COMMANDS_MAX];           /* else each line is told as an event */
  bool failed[COMMANDS_MAX];          /* a line says so, whatever the exit status is */
  size_t count;
  struct names env_words; /* owned */
  const char **env;       /* owned */

  struct bulk *bulk; /* borrowed */
  size_t row;
  size_t at;             /* the command that spoke last */
  struct pkg_line cause; /* the weightiest line */
  char *reason;          /* owned; its text */
  char *last;            /* owned; the last line that says anything */
  char *topic;           /* owned; what is done since, by the line that said it; or NULL */
  bool cause_is_open;    /* the next line belongs to it */
  bool network, busy;    /* what lines said */
  uint64_t units;        /* of progress */
};

/* Starts with none, for the guest of @row. */
void pkg_commands_start (struct bulk *bulk, size_t row, struct pkg_commands *ret_commands);
void pkg_commands_release (struct pkg_commands *commands);
#define autopkgcommands __attribute__ ((cleanup (pkg_commands_release)))

/* Adds the driver's command for @step; false when it has none. */
bool pkg_commands_add (struct pkg_commands *commands, enum pkg_step step);

/* Adds a command that is none of the driver's, whose output is told as events. @input as in
 * bundle.h. */
void pkg_commands_add_own (struct pkg_commands *commands, const struct names *args,
                           const char *input);

/* For run_options: output and output_data. Lines go to the row's log as well. */
void pkg_commands_output (void *commands, size_t command, int stream, const char *bytes,
                          size_t len);

/* What is there of the output of the last command of a step; "" when there is none. Borrowed. */
const char *pkg_commands_text (const struct pkg_commands *commands, enum pkg_step step,
                               size_t *ret_len);

/* What the guest has, by its files, or by what the @first or the last PKG_INSTALLED printed. The
 * driver can tell by one of them. */
int pkg_commands_installed (const struct pkg_commands *commands, struct guest *guest, bool first,
                            struct pkg_packages *ret_packages, struct err *err);

/* Runs them as @options say, whose commands and output are set here; in the namespaces of the guest
 * when it runs. Negative when the machinery failed or a signal came. A command that fails is no
 * error of this call: see pkg_commands_meaning. */
int pkg_commands_run (struct pkg_commands *commands, struct run_options *options,
                      struct run_result *ret_result, struct err *err);

/* What the first command that did not succeed came to, whose number is @ret_at; PKG_OK or
 * PKG_NOTHING, of the last one, when all did. */
enum pkg_meaning pkg_commands_meaning (const struct pkg_commands *commands,
                                       const struct run_result *result, size_t *ret_at);

/* The same for a running guest that is stopped for it: see run_offline. */
int pkg_commands_run_offline (struct pkg_commands *commands, struct run_options *options,
                              void (*on_phase) (void *data, const char *phase), void *phase_data,
                              struct run_result *ret_result, struct err *err);

/* Why the command number @at failed, as EIO. */
int pkg_commands_fail (const struct pkg_commands *commands, const struct run_result *result,
                       size_t at, struct err *err);

/* Waits before the next of several tries: 2, 4, 8, … seconds. @meaning is that of the last try. 1
 * to try again, 0 when it is no error that passes or there were enough tries, negative after a
 * signal. */
int pkg_commands_retry (const struct pkg_commands *commands, unsigned tries,
                        enum pkg_meaning meaning, struct err *err);

#endif
