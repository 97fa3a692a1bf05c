/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES exec, suexec: a command in guests: in those that run beside what runs there, in
 * stopped ones as a transaction, committed when it succeeds. */
#include "command_options.h"
#include "pkg/run.h"
#include "runtime/session.h"
#include "util/clock.h"
#include "util/interrupt.h"

#define USAGE_END                                                                                  \
  "A guest that runs: the command joins it, with stdin, stdout, stderr and signals passed on.\n"   \
  "A stopped guest: what it changes becomes part of the guest when it exits with 0; else the\n"    \
  "guest is as before. /run and /tmp are empty and temporary.\n\n"                                 \
  "Exit status: the command's for one guest (128 + N after signal N, 127 when there is no such\n"  \
  "command); for several 0, or 3 when it failed in some.\n"

static const char exec_usage[] = "Usage: vguest NAMES exec [OPTION…] -- COMMAND [ARG…]\n"
                                 "Run a command in guests, one after another.\n\n" USAGE_END;

static const char suexec_usage[] =
    "Usage: vguest NAMES suexec [OPTION…] USER[:GROUP] [--] COMMAND [ARG…]\n"
    "Run a command as a user of the guests, one after another.\n\n" USAGE_END;

struct exec {
  struct context *context; /* borrowed */
  struct command_options options;
  struct command_line line;
  struct vroot *read_root;  /* owned */
  struct vroot *write_root; /* owned; opened for the first stopped guest */
  bool tty;
  bool discard;
  bool keep_failed;
  bool times;
};

static void exec_release (struct exec *exec)
{
  command_options_release (&exec->options);
  command_line_release (&exec->line);
  cleanup_root (&exec->read_root);
  cleanup_root (&exec->write_root);
}
#define autoexec __attribute__ ((cleanup (exec_release)))

static void print_times (const char *name, const struct run_result *result)
{
  const struct container_result *c = &result->container;

  fprintf (stderr,
           "%s: mount %.1f ms, create %.1f ms, start %.1f ms, run %.1f ms, delete %.1f ms, commit "
           "%.1f ms\n",
           name, (double) c->mount_us / 1e3, (double) c->create_us / 1e3,
           (double) c->start_us / 1e3, (double) c->run_us / 1e3, (double) c->delete_us / 1e3,
           (double) result->commit_us / 1e3);
}

/* As a transaction. */
static int run_stopped (struct exec *exec, const char *name, int *ret_status, struct err *err)
{
  autoguest struct guest *guest = NULL;
  autocommandline struct command_line line = {0};
  autorunresult struct run_result result = {0};
  autofree char *what = history_what ("exec", exec->line.command.args);
  const struct history_note note = {.what = what};
  struct run_options run = {
      .commands = &line.command,
      .command_count = 1,
      .discard = exec->discard,
      .note = &note,
      .keep_failed = exec->keep_failed,
      .stdin_fd = STDIN_FILENO,
  };

  if (exec->tty)
    return err_code (err, ERR_USAGE, "guest %s is stopped: --tty is for guests that run", name);
  if ((!exec->write_root &&
       context_open_root (exec->context, /* write= */ true, &exec->write_root, err) < 0) ||
      guest_open (exec->write_root, name, GUEST_LOCKED, &guest, err) < 0 ||
      command_line_in (&exec->line, guest, &line, err) < 0)
    return -err->code;
  if (run_in_guest (exec->write_root, guest, &run, &result, err) < 0)
    return err_wrap (err, "guest %s", name);
  if (result.report.failed)
    print_warning ("guest %s: %lu files could not be shared: %s", name,
                   (unsigned long) result.report.failed,
                   result.report.first_error ? result.report.first_error : "");
  print_kept (exec->context, name, &result);
  if (exec->times)
    print_times (name, &result);
  *ret_status = result.container.status;
  return 0;
}

static int run_running (const struct exec *exec, struct guest *guest, const struct live_info *info,
                        int *ret_status, struct err *err)
{
  autocommandline struct command_line line = {0};
  struct session_options session = {
      .command = &line.command,
      .terminal = exec->tty,
      .stdin_fd = STDIN_FILENO,
  };
  uint64_t start = clock_us ();

  if (exec->discard)
    return err_code (err, ERR_USAGE, "guest %s runs: --discard is for stopped guests", guest->name);
  if (command_line_in (&exec->line, guest, &line, err) < 0)
    return -err->code;
  if (session_run (exec->read_root, guest, info, &session, ret_status, err) < 0)
    return err_wrap (err, "guest %s", guest->name);
  if (exec->times)
    fprintf (stderr, "%s: run %.1f ms\n", guest->name, clock_seconds_since (start) * 1e3);
  return 0;
}

/* Runs in one guest; *ret_status is the command's. */
static int exec_one (struct exec *exec, const char *name, int *ret_status, bool *ret_running,
                     struct err *err)
{
  autoguest struct guest *guest = NULL;
  autoliveinfo struct live_info info = {0};

  *ret_running = false;
  if (guest_open (exec->read_root, name, GUEST_PEEK, &guest, err) < 0 ||
      live_info_read (exec->read_root, guest, &info, err) < 0)
    return -err->code;
  *ret_running = info.state != LIVE_STOPPED;
  if (info.state == LIVE_STARTING)
    return err_code (err, EBUSY, "guest %s is just being started: try again", name);
  return *ret_running ? run_running (exec, guest, &info, ret_status, err)
                      : run_stopped (exec, name, ret_status, err);
}

static int exec_all (struct exec *exec, const struct names *names, struct err *err)
{
  bool quiet = exec->context->quiet;
  size_t failed = 0;
  int status = 0;

  for (size_t i = 0; i < names->count; i++) {
    autoerr struct err one = {0};
    const char *name = names->items[i];
    bool running = false;

    if (names->count > 1 && !quiet)
      fprintf (stderr, "%s:\n", name);
    if (exec_one (exec, name, &status, &running, &one) < 0) {
      if (names->count == 1 || one.code == ERR_INTERRUPTED)
        return err_code (err, one.code, "%s", err_text (&one));
      print_error ("%s", err_text (&one));
      failed++;
    } else if (status) {
      if (!quiet && (names->count > 1 || !running))
        print_error ("%s: the command ended with exit status %d%s", name, status,
                     running ? "" : ": guest as before");
      failed++;
    }
    if (names->count > 1 && interrupt_check (err) < 0)
      return -err->code;
  }
  if (names->count == 1)
    return status;
  if (failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, names->count);
  return 0;
}

static int run (struct exec *exec, char **args, struct err *err)
{
  autonames struct names names = {0};

  if (command_line_make (&exec->options, args, &exec->line, err) < 0)
    return -err->code;
  interrupt_install ();
  if (context_select (exec->context, &names, err) < 0 ||
      context_open_root (exec->context, /* write= */ false, &exec->read_root, err) < 0)
    return -err->code;
  if (exec->tty && names.count > 1)
    return err_code (err, ERR_USAGE, "--tty is for a single guest");
  return exec_all (exec, &names, err);
}

#define TTY_SPEC                                                                                   \
  {                                                                                                \
    "tty", 't', NULL, "give it a terminal of the guest", &exec.tty, NULL, NULL                     \
  }
#define DISCARD_SPEC                                                                               \
  {                                                                                                \
    "discard", 0, NULL, "stopped: throw all changes away", &exec.discard, NULL, NULL               \
  }
#define KEEP_FAILED_SPEC                                                                           \
  {                                                                                                \
    "keep-failed", 0, NULL, "stopped: keep what a failed command did", &exec.keep_failed, NULL,    \
        NULL                                                                                       \
  }
#define TIMES_SPEC                                                                                 \
  {                                                                                                \
    "times", 0, NULL, "tell where the time went", &exec.times, NULL, NULL                          \
  }

int cmd_exec (struct context *context, int argc, char **argv, struct err *err)
{
  autoexec struct exec exec = {.context = context};
  const struct option_spec specs[] = {
      COMMAND_OPTION_SPECS (&exec.options),    TTY_SPEC, DISCARD_SPEC, KEEP_FAILED_SPEC, TIMES_SPEC,
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int first = 0, dashes = 0, at = 0;

  if (options_parse (context, specs, /* stop_early= */ true, exec_usage, argc, argv, &first,
                     &dashes, err) < 0 ||
      command_line_find (first, dashes, argc, argv, &at, err) < 0)
    return -err->code;
  return run (&exec, argv + at, err);
}

int cmd_suexec (struct context *context, int argc, char **argv, struct err *err)
{
  autoexec struct exec exec = {.context = context};
  const struct option_spec specs[] = {
      COMMAND_ENV_SPEC (&exec.options),
      COMMAND_CWD_SPEC (&exec.options),
      TTY_SPEC,
      DISCARD_SPEC,
      KEEP_FAILED_SPEC,
      TIMES_SPEC,
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int at = 0, dashes = 0;

  if (options_parse (context, specs, /* stop_early= */ true, suexec_usage, argc, argv, &at, &dashes,
                     err) < 0)
    return -err->code;
  /* "--" may stand before the user, behind it, or belong to the command. */
  if (at < argc && strcmp (argv[at], "--") == 0)
    at++;
  if (at >= argc)
    return err_code (err, ERR_USAGE, "a user and a command are expected; see --help");
  exec.options.user = argv[at++];
  if (at < argc && strcmp (argv[at], "--") == 0)
    at++;
  if (at >= argc)
    return err_code (err, ERR_USAGE, "a command is expected after the user; see --help");
  return run (&exec, argv + at, err);
}
