/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all verbs that run a command in guests take: its environment, directory and user, and the
 * command itself behind "--". */
#ifndef VG_CMD_COMMAND_OPTIONS_H
#define VG_CMD_COMMAND_OPTIONS_H

#include "cmd.h"
#include "guest/guest.h"
#include "runtime/bundle.h"

struct command_options {
  struct names env; /* owned; --env */
  const char *cwd;  /* --cwd; borrowed from argv, as all below */
  const char *user; /* --user; USER[:GROUP], see runtime/guestuser.h */
};

/* Their lines in a table of options. */
#define COMMAND_ENV_SPEC(options)                                                                  \
  {                                                                                                \
    "env", 'e', "NAME=VALUE", "set a variable (may be repeated)", NULL, NULL, &(options)->env      \
  }
#define COMMAND_CWD_SPEC(options)                                                                  \
  {                                                                                                \
    "cwd", 'C', "DIR", "run in this directory of the guest", NULL, &(options)->cwd, NULL           \
  }
#define COMMAND_USER_SPEC(options)                                                                 \
  {                                                                                                \
    "user", 'u', "USER[:GROUP]", "run as this user of the guest", NULL, &(options)->user, NULL     \
  }
#define COMMAND_OPTION_SPECS(options)                                                              \
  COMMAND_ENV_SPEC (options), COMMAND_CWD_SPEC (options), COMMAND_USER_SPEC (options)

void command_options_release (struct command_options *options);
#define autocommandoptions __attribute__ ((cleanup (command_options_release)))

/* A command. It has an environment, for session_run and run_in_guest, only as command_line_in makes
 * it for a guest. */
struct command_line {
  struct bundle_command command;
  struct names env;                      /* owned */
  const char **env_list;                 /* owned; borrows from env */
  const struct command_options *options; /* borrowed */
};

void command_line_release (struct command_line *line);
#define autocommandline __attribute__ ((cleanup (command_line_release)))

/* @args: the command, NULL-terminated, as main's argv is; borrowed, as @options is. ERR_USAGE. */
int command_line_make (const struct command_options *options, char **args,
                       struct command_line *ret_line, struct err *err);

/* The same command for @guest, with its environment: PATH, LANG, TERM, without a user HOME=/root;
 * variables of the guest's settings replace them, and those of --env both. @line must outlive it.
 * EINVAL for settings that are none. */
int command_line_in (const struct command_line *line, const struct guest *guest,
                     struct command_line *ret_line, struct err *err);

/* Where the command begins in argv, after options_parse with stop_early: behind "--", or the first
 * word that is no option. ERR_USAGE when there is none. */
int command_line_find (int first, int dashes, int argc, char **argv, int *ret_at, struct err *err);

/* Tells on stderr that the layer of a command that failed was kept, or why not. */
struct run_result;
void print_kept (const struct context *context, const char *name, const struct run_result *result);

#endif
