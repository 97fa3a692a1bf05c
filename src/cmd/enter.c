/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME enter: a login shell in a guest that runs, or in what a failed transaction left. */
#include "command_options.h"
#include "pkg/run.h"
#include "runtime/session.h"
#include "util/interrupt.h"

static const char usage[] =
    "Usage: vguest NAME enter [OPTION…]\n"
    "       vguest NAME enter --failed [OPTION…] [-- COMMAND [ARG…]]\n"
    "Open a login shell in a guest that runs: root's, or that of --user. On a terminal it gets\n"
    "one of the guest; else it reads its commands from stdin.\n\n"
    "With --failed: in the stopped guest as a transaction left it that failed with --keep-failed.\n"
    "It is for a look: what is changed there is thrown away.\n\n"
    "Exit status: the shell's, or 1 when the guest does not run.\n";

struct enter {
  struct context *context; /* borrowed */
  const struct command_line *line;
  const char *name;
  bool login;
};

static int enter_running (const struct enter *enter, int *ret_status, struct err *err)
{
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autoliveinfo struct live_info info = {0};
  autocommandline struct command_line line = {0};
  struct session_options session = {.command = &line.command,
                                    .login = true,
                                    .terminal = isatty (STDIN_FILENO),
                                    .stdin_fd = STDIN_FILENO};

  if (context_open_running (enter->context, enter->name, &root, &guest, &info, err) < 0 ||
      command_line_in (enter->line, guest, &line, err) < 0)
    return -err->code;
  return session_run (root, guest, &info, &session, ret_status, err);
}

static int enter_failed (const struct enter *enter, int *ret_status, struct err *err)
{
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autorunresult struct run_result result = {0};
  autocommandline struct command_line line = {0};
  bool terminal = isatty (STDIN_FILENO);
  struct run_options run = {.commands = &line.command,
                            .command_count = 1,
                            .login = enter->login,
                            .terminal = terminal,
                            .joined = !terminal,
                            .stdin_fd = terminal ? -1 : STDIN_FILENO};

  if (context_open_root (enter->context, /* write= */ true, &root, err) < 0 ||
      guest_open (root, enter->name, GUEST_LOCKED, &guest, err) < 0 ||
      command_line_in (enter->line, guest, &line, err) < 0 ||
      run_in_failed (root, guest, &run, &result, err) < 0)
    return -err->code;
  *ret_status = result.container.status;
  return 0;
}

int cmd_enter (struct context *context, int argc, char **argv, struct err *err)
{
  autocommandoptions struct command_options options = {0};
  bool failed = false;
  const struct option_spec specs[] = {
      COMMAND_OPTION_SPECS (&options),
      {"failed", 0, NULL, "in the layer of a transaction that failed", &failed, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autocommandline struct command_line line = {0};
  autonames struct names names = {0};
  int first = 0, dashes = 0, status = 0;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  bool has_dashes = strcmp (argv[dashes - 1], "--") == 0 && dashes > first;
  if (first < dashes - has_dashes || (dashes < argc && !failed))
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"; for a command there is exec",
                     argv[first < dashes - has_dashes ? first : dashes]);
  bool login = dashes == argc;
  if (!options.user && login)
    options.user = "root";
  if (command_line_make (&options, login ? NULL : argv + dashes, &line, err) < 0 ||
      context_select_one (context, &names, err) < 0)
    return -err->code;
  if (login)
    line.command.cwd = options.cwd; /* else the user's home */
  interrupt_install ();
  struct enter enter = {
      .context = context,
      .line = &line,
      .name = names.items[0],
      .login = login,
  };
  int ret = failed ? enter_failed (&enter, &status, err) : enter_running (&enter, &status, err);
  return ret < 0 ? err_wrap (err, "guest %s", names.items[0]) : status;
}
