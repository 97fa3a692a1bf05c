/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAME console: the terminal joined to what a guest's init writes. */
#include "command_options.h"
#include "runtime/console.h"
#include "util/fd.h"

static const char usage[] =
    "Usage: vguest NAME console\n"
    "Join this terminal to the console of a guest that runs: its last output, then what comes.\n"
    "What is typed goes to the guest when its console is a terminal. Ctrl-] three times within\n"
    "a second detaches, and so does Ctrl-C when the console is no terminal.\n";

int cmd_console (struct context *context, int argc, char **argv, struct err *err)
{
  const struct option_spec specs[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autoliveinfo struct live_info info = {0};
  autonames struct names names = {0};
  bool detached;

  if (options_parse_only (context, specs, usage, argc, argv, err) < 0)
    return -err->code;
  if (context_select_one (context, &names, err) < 0)
    return -err->code;
  const char *name = names.items[0];
  if (context_open_running (context, name, &root, &guest, &info, err) < 0)
    return err_wrap (err, "guest %s", name);
  const char *run_dir = root_run_dir (root, err);
  if (!run_dir)
    return -err->code;
  autofree char *path = xasprintf ("%s/%s", run_dir, name);
  autoclose int run_fd = fd_open_dir (AT_FDCWD, path);
  if (run_fd < 0)
    return err_errno (err, "open %s", path);
  return console_attach (run_fd, -1, name, context->quiet, &detached, err);
}
