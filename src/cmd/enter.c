/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME enter: a login shell in a guest that runs. */
#include "command_options.h"
#include "runtime/session.h"
#include "util/interrupt.h"

static const char usage[] =
    "Usage: vguest NAME enter [OPTION…]\n"
    "Open a login shell in a guest that runs: root's, or that of --user. On a terminal it gets\n"
    "one of the guest; else it reads its commands from stdin.\n\n"
    "Exit status: the shell's, or 1 when the guest does not run.\n";

int cmd_enter (struct context *context, int argc, char **argv, struct err *err)
{
  autocommandoptions struct command_options options = {0};
  const struct option_spec specs[] = {
      COMMAND_OPTION_SPECS (&options),
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autocommandline struct command_line line = {0};
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autoliveinfo struct live_info info = {0};
  autonames struct names names = {0};
  struct session_options session = {.command = &line.command,
                                    .login = true,
                                    .terminal = isatty (STDIN_FILENO),
                                    .stdin_fd = STDIN_FILENO};
  int first = 0, dashes = 0, status = 0;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"; for a command there is exec",
                     argv[first]);
  if (!options.user)
    options.user = "root";
  if (command_line_make (&options, NULL, &line, err) < 0 ||
      context_select_one (context, &names, err) < 0)
    return -err->code;
  line.command.cwd = options.cwd; /* else the user's home */
  interrupt_install ();
  if (context_open_running (context, names.items[0], &root, &guest, &info, err) < 0 ||
      session_run (root, guest, &info, &session, &status, err) < 0)
    return err_wrap (err, "guest %s", names.items[0]);
  return status;
}
