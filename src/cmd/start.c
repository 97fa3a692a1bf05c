/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES start, stop, restart, condrestart */
#include "autostart.h"
#include "cmd.h"
#include "fanout.h"
#include "status.h"
#include "runtime/console.h"
#include "runtime/live.h"
#include "util/interrupt.h"
#include <inttypes.h>
#include <sys/socket.h>

static const char start_usage[] =
    "Usage: vguest NAMES start [--console] [--jobs N]\n"
    "Starts guests, several at once, and returns when their init was started; those that they\n"
    "depend on are started first. One that runs already is left alone. With --console a single\n"
    "guest's console is joined to this terminal from the start, as `vguest NAME console` does.\n";

static const char stop_usage[] =
    "Usage: vguest NAMES stop [--timeout SECONDS] [--jobs N]\n"
    "Stops guests in the way of their init, several at once; what still runs after the timeout\n"
    "(else the guest's stop_timeout) is killed. Returns when all processes are gone. One that\n"
    "does not run is left alone.\n";

static const char restart_usage[] =
    "Usage: vguest NAMES restart|condrestart [--timeout SECONDS] [--jobs N]\n"
    "Stops guests and starts them again; condrestart only those that run.\n";

enum { START_JOBS = 4, STOP_JOBS = 16 };

struct action {
  struct context *context;
  bool stop;
  bool start;
  bool only_running;
  int64_t timeout; /* see live_stop_options */
  int console_fd;  /* for live_start, which takes it; -1: none */
};

static void say (const struct action *action, const char *name, const char *text)
{
  if (!action->context->quiet && !action->context->json)
    printf ("%s: %s\n", name, text);
}

static int stop_guest (const struct action *action, struct vroot *root, struct guest *guest,
                       struct err *err)
{
  struct live_stop_options options = {.timeout = action->timeout};
  autounifyreport struct unify_report report = {0};

  if (live_stop (root, guest, &options, &report, err) < 0)
    return -err->code;
  if (report.failed)
    print_warning ("guest %s: %" PRIu64 " files could not be shared: %s", guest->name,
                   report.failed, report.first_error ? report.first_error : "?");
  return 0;
}

static int act (void *data, const char *name, struct err *err)
{
  struct action *action = data;
  struct live_start_options options = {.console_fd = -1};
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;

  if (context_open_root (action->context, /* write= */ true, &root, err) < 0 ||
      guest_open (root, name, GUEST_LOCKED, &guest, err) < 0)
    return -err->code;
  int running = guest_running (guest, err);
  if (running < 0)
    return running;
  if (!running && !action->start) {
    /* What a killed monitor left. */
    if (live_recover (root, guest, err) < 0)
      return err_wrap (err, "stop guest %s", name);
    say (action, name, "is not running");
    return 0;
  }
  if (!running && action->only_running)
    return 0;
  if (running && !action->stop) {
    say (action, name, "is running already");
    return 0;
  }
  if (running && stop_guest (action, root, guest, err) < 0)
    return err_wrap (err, "stop guest %s", name);
  if (!action->start) {
    say (action, name, "stopped");
    return 0;
  }
  options.console_fd = steal_fd (&action->console_fd);
  prepare_start (root, guest);
  if (live_start (root, guest, &options, err) < 0)
    return err_wrap (err, "start guest %s", name);
  say (action, name, running ? "restarted" : "started");
  warn_of_disk_limits (root, &(struct names){.items = &guest->name, .count = 1});
  return 0;
}

static int parse_timeout (const char *text, int64_t *ret_timeout, struct err *err)
{
  char *end;

  *ret_timeout = -1;
  if (!text)
    return 0;
  errno = 0;
  long long value = strtoll (text, &end, 10);
  if (*text < '0' || *text > '9' || *end || errno || value > INT32_MAX)
    return err_code (err, ERR_USAGE, "bad --timeout \"%s\": seconds are expected", text);
  *ret_timeout = value;
  return 0;
}

/* Starts one guest with its console joined to this terminal. */
static int start_with_console (struct action *action, const char *name, struct err *err)
{
  int ends[2];
  bool detached;

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return err_errno (err, "make a socket pair");
  autoclose int ours = ends[0];
  action->console_fd = ends[1];
  int ret = act (action, name, err);
  bool taken = action->console_fd < 0;
  cleanup_close (&action->console_fd);
  if (ret < 0 || !taken) /* it runs already */
    return ret;
  if (fflush (stdout) != 0)
    return err_errno (err, "write to stdout");
  return console_attach (-1, steal_fd (&ours), name, action->context->quiet, &detached, err);
}

static int act_on_all (struct action *action, const struct names *names, bool console,
                       unsigned jobs, struct err *err)
{
  if (action->start && !action->stop) {
    int handled = start_in_order (action->context, names, console, jobs, err);

    if (handled < 0 || (handled && !console))
      return handled < 0 ? handled : 0;
  }
  if (console)
    return start_with_console (action, names->items[0], err);
  struct err *errs = xcalloc (names->count, sizeof *errs);
  fan_out (names, jobs, act, action, errs, err);
  int ret = fan_out_conclude (names, errs, err);
  free (errs);
  return ret;
}

static int run (struct action *action, const char *usage, int argc, char **argv, struct err *err)
{
  const char *timeout = NULL, *jobs_text = NULL;
  const struct option_spec jobs_spec = {"jobs", 'j',        "N", "how many guests at once",
                                        NULL,   &jobs_text, NULL};
  const struct option_spec end = {NULL, 0, NULL, NULL, NULL, NULL, NULL};
  const struct option_spec timeout_spec = {
      "timeout", 't', "SECONDS", "kill what runs after them; 0: at once", NULL, &timeout, NULL};
  bool console = false;
  const struct option_spec console_spec = {"console", 'c',  NULL, "join the guest's console",
                                           &console,  NULL, NULL};
  const struct option_spec specs[] = {jobs_spec, action->stop ? timeout_spec : console_spec, end};
  autonames struct names names = {0};
  int first, dashes;
  unsigned jobs;

  if (options_parse (action->context, specs, /* stop_early= */ false, usage, argc, argv, &first,
                     &dashes, err) < 0 ||
      parse_timeout (timeout, &action->timeout, err) < 0 ||
      parse_jobs (jobs_text, action->start ? START_JOBS : STOP_JOBS, &jobs, err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  interrupt_install ();
  if (context_select (action->context, &names, err) < 0)
    return -err->code;
  if (console && names.count > 1)
    return err_code (err, ERR_USAGE, "--console is for a single guest");
  int ret = act_on_all (action, &names, console, jobs, err);
  /* Also when some failed: their states say what came of it. */
  if (action->context->json && !console) {
    autoerr struct err show_err = {0};

    if (show_states (action->context, &names, /* names_only= */ false, &show_err) < 0 && ret == 0)
      ret = err_code (err, show_err.code, "%s", err_text (&show_err));
  }
  return ret;
}

int cmd_start (struct context *context, int argc, char **argv, struct err *err)
{
  struct action action = {.context = context, .start = true, .console_fd = -1};

  return run (&action, start_usage, argc, argv, err);
}

int cmd_stop (struct context *context, int argc, char **argv, struct err *err)
{
  struct action action = {.context = context, .stop = true, .console_fd = -1};

  return run (&action, stop_usage, argc, argv, err);
}

int cmd_restart (struct context *context, int argc, char **argv, struct err *err)
{
  struct action action = {.context = context, .stop = true, .start = true, .console_fd = -1};

  action.only_running = strcmp (argv[0], "condrestart") == 0;
  return run (&action, restart_usage, argc, argv, err);
}
