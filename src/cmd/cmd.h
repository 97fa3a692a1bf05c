/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The room of the verbs: one file each, which parses, calls, and prints; no logic that another
 * verb could want. main.c has the table. */
#ifndef VG_CMD_CMD_H
#define VG_CMD_CMD_H

#include "cmd/selection.h"
#include "guest/guest.h"
#include "runtime/live.h"
#include "util/err.h"

/* What every command line may say. */
struct context {
  const char *program;     /* "vguest", "vtemplate", …: the name it was called by */
  const char *root_option; /* --root */
  const char *names;       /* vguest NAMES verb: as written; NULL where options are in its place */
  struct selecting selecting; /* owned; the options of vguest before NAMES or in their place */
  bool json;                  /* --json: machine-readable output on stdout */
  bool takes_json_file;       /* the command has --json=FILE */
  const char *json_file;      /* that FILE, "-" for stdout; or NULL */
  bool quiet;                 /* --quiet: no progress, no summary */
  bool no_wait;               /* --no-wait: exit 7 instead of waiting for a lock */
  const char *wait;           /* --wait: as written; or NULL */
};

/* A verb. @argv[0] is the verb's name. Returns the exit status, or negative with @err set. */
typedef int command_fn (struct context *context, int argc, char **argv, struct err *err);

struct command {
  const char *program;
  const char *verb;     /* NULL: the program has no verbs */
  const char *synopsis; /* the arguments, for the usage text */
  const char *summary;  /* one line */
  command_fn *run;
};

/* One option of a verb. Exactly one of flag, value and list is set. */
struct option_spec {
  const char *name;     /* "hostname" */
  char letter;          /* 's', or 0 */
  const char *argument; /* "H" for the help text; NULL for flags */
  const char *help;
  bool *flag;
  const char **value; /* borrowed from argv */
  struct names *list; /* may be given several times */
};

/* Parses options and the common ones (--root, --json, --quiet, --no-wait, --help) up to "--" or the
 * end; with @stop_early only up to the first other word. Other words are moved to the end:
 * argv[*ret_first …] are they, then the rest behind "--" (*ret_dashes is the index of what follows
 * "--", or argc when there was none). --help prints and exits. ERR_USAGE. @specs ends with name
 * NULL. */
int options_parse (struct context *context, const struct option_spec *specs, bool stop_early,
                   const char *usage, int argc, char **argv, int *ret_first, int *ret_dashes,
                   struct err *err);

/* The same for what takes options alone: ERR_USAGE for any other word. */
int options_parse_only (struct context *context, const struct option_spec *specs, const char *usage,
                        int argc, char **argv, struct err *err);

/* Opens the root as the context says; progress and lock messages go to stderr. */
int context_open_root (const struct context *context, bool write, struct vroot **ret_root,
                       struct err *err);

/* The guests that the command line of vguest selects, which exist. Opens the root for that. */
int context_select (struct context *context, struct names *ret_names, struct err *err);

/* The same for verbs that take one guest: ERR_USAGE when it selects several. */
int context_select_one (struct context *context, struct names *ret_names, struct err *err);

/* Opens the guest @name and the root for what is done in a guest that runs. ESRCH, with what to do,
 * when it does not. */
int context_open_running (const struct context *context, const char *name, struct vroot **ret_root,
                          struct guest **ret_guest, struct live_info *ret_info, struct err *err);

/* Fails with ERR_USAGE when the caller is not root. */
int require_root (struct err *err);

/* The processors that this process may use: at least 1. */
unsigned cpu_count (void);

/* "1.2 GiB": the caller's string. */
char *format_bytes (uint64_t bytes);

/* Text that a guest may have made, for a terminal: control characters, and what is not UTF-8, as
 * \xNN. The caller's string. */
char *format_text (const char *text);

/* Asks on the terminal, behind what @text tells, unless @yes. ERR_USAGE with "say
 * --yes" where nobody can be asked whether to @action ("delete 3 guests"); ERR_NOTHING when the
 * answer is not yes. */
int confirm (bool yes, const char *action, const char *text, struct err *err);

/* Prints a JSON object to stdout, pretty. */
void print_json (json_object *object);

/* Which program all that is printed to stderr begins with; borrowed. */
void messages_from (const char *program);

/* Prints "PROGRAM: warning: …" or, for errors that do not end the run, "PROGRAM: …" to stderr. */
void print_warning (const char *format, ...) __attribute__ ((format (printf, 1, 2)));
void print_error (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* What a guest needs before it starts, open GUEST_LOCKED: ssh host keys where it has none. A
 * failure is a warning: the guest starts without. */
void prepare_start (struct vroot *root, struct guest *guest);

/* Warns that a guest's config.json lost its comments: guest_save_config. */
void warn_of_comments (const char *guest);

/* Warns that a guest has more of its own on the disk than its disk.soft_limit. */
void warn_of_disk_limit (const char *guest, uint64_t own_bytes, uint64_t limit);

/* Warns of those of @names that do; of nothing where none has a limit. */
void warn_of_disk_limits (struct vroot *root, const struct names *names);

/* What completion/vguest.bash asks for: prints the words of @kind ("guests", "templates", "keys",
 * "styles"), those that can be had; @root may be NULL. */
void complete_words (const char *kind, const char *root);

/* The verbs. */
command_fn cmd_adopt;
command_fn cmd_build;
command_fn cmd_delete;
command_fn cmd_thicken;
command_fn cmd_rename;
command_fn cmd_check;
command_fn cmd_show;
command_fn cmd_diff;
command_fn cmd_which;
command_fn cmd_enter;
command_fn cmd_exec;
command_fn cmd_suexec;
command_fn cmd_console;
command_fn cmd_logs;
command_fn cmd_set;
command_fn cmd_get;
command_fn cmd_history;
command_fn cmd_rollback;
command_fn cmd_hashify;
command_fn cmd_guest_hashify;
command_fn cmd_start;
command_fn cmd_stop;
command_fn cmd_restart;
command_fn cmd_status;
command_fn cmd_running;
command_fn cmd_kill;
command_fn cmd_stat;
command_fn cmd_store_fsck;
command_fn cmd_store_gc;
command_fn cmd_template_import;
command_fn cmd_template_build;
command_fn cmd_template_list;
command_fn cmd_template_info;
command_fn cmd_template_delete;
command_fn cmd_template_check;
command_fn cmd_template_update;
command_fn cmd_template_gc;
command_fn cmd_pkg;
command_fn cmd_autostart_start;
command_fn cmd_autostart_stop;
command_fn cmd_autostart_status;
command_fn cmd_autostart_list;
command_fn cmd_info;
command_fn cmd_vexec;

#endif
