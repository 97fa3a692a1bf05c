/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES status, running, kill */
#include "status.h"
#include "runtime/live.h"
#include <ctype.h>
#include <signal.h>
#include <time.h>

static const char status_usage[] =
    "Usage: vguest NAMES status\n"
    "Tells whether guests run. Exit status: 0 when all of them do, 3 when one does not.\n";

static const char running_usage[] =
    "Usage: vguest NAMES running\n"
    "Prints the names of those guests that run. Exit status: 0 when all of them do, 3 when one\n"
    "does not.\n";

static const char kill_usage[] =
    "Usage: vguest NAMES kill [-s SIGNAL]\n"
    "Sends a signal to the first process of guests; else SIGKILL, which ends a guest at once.\n";

enum { STATUS_STOPPED = 3 };

static const char *state_text (enum live_state state)
{
  static const char *const texts[] = {"stopped", "starting", "running", "stopping"};

  return texts[state];
}

static json_object *info_object (const char *name, const struct live_info *info)
{
  json_object *object = json_object_new_object ();
  json_object *addresses = json_object_new_array ();

  json_set_string (object, "name", name);
  json_set_string (object, "state", state_text (info->state));
  json_object_object_add (object, "addresses", addresses);
  for (size_t i = 0; i < info->addresses.count; i++)
    json_object_array_add (addresses, json_object_new_string (info->addresses.items[i]));
  if (info->state == LIVE_STOPPED)
    return object;
  json_set_string (object, "init", init_style_name (info->init));
  json_set_int (object, "init_pid", info->init_pid);
  json_set_int (object, "monitor_pid", info->monitor_pid);
  json_set_int (object, "started", info->started);
  json_set_string (object, "runtime", info->runtime);
  return object;
}

static void print_info (const char *name, const struct live_info *info)
{
  char since[32] = "?";
  time_t started = (time_t) info->started;
  struct tm tm;

  if (info->state != LIVE_RUNNING) {
    printf ("%s: %s\n", name, state_text (info->state));
    return;
  }
  if (localtime_r (&started, &tm))
    strftime (since, sizeof since, "%Y-%m-%d %H:%M:%S", &tm);
  printf ("%s: running since %s, pid %ld, init %s\n", name, since, (long) info->init_pid,
          init_style_name (info->init));
}

static int no_arguments (struct context *context, const char *usage, int argc, char **argv,
                         struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};

  if (options_parse_only (context, none, usage, argc, argv, err) < 0)
    return -err->code;
  return 0;
}

int show_states (const struct context *context, const struct names *names, bool names_only,
                 struct err *err)
{
  autojson json_object *list = json_object_new_array ();
  autoroot struct vroot *root = NULL;
  bool all = true;

  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names->count; i++) {
    autoguest struct guest *guest = NULL;
    autoliveinfo struct live_info info = {0};

    if (guest_open (root, names->items[i], GUEST_PEEK, &guest, err) < 0 ||
        live_info_read (root, guest, &info, err) < 0)
      return -err->code;
    all &= info.state != LIVE_STOPPED;
    if (names_only && info.state == LIVE_STOPPED)
      continue;
    if (context->json)
      json_object_array_add (list, info_object (names->items[i], &info));
    else if (names_only)
      puts (names->items[i]);
    else if (!context->quiet)
      print_info (names->items[i], &info);
  }
  if (context->json) {
    autojson json_object *object = json_object_new_object ();

    json_object_object_add (object, "guests", json_object_get (list));
    print_json (object);
  }
  return all ? 0 : STATUS_STOPPED;
}

static int show (struct context *context, bool names_only, struct err *err)
{
  autonames struct names names = {0};

  autoroot struct vroot *root = NULL;

  if (context_select (context, &names, err) < 0)
    return -err->code;
  int ret = show_states (context, &names, names_only, err);
  if (ret < 0 || names_only)
    return ret;
  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  warn_of_disk_limits (root, &names);
  return ret;
}

int cmd_status (struct context *context, int argc, char **argv, struct err *err)
{
  if (no_arguments (context, status_usage, argc, argv, err) < 0)
    return -err->code;
  return show (context, /* names_only= */ false, err);
}

int cmd_running (struct context *context, int argc, char **argv, struct err *err)
{
  if (no_arguments (context, running_usage, argc, argv, err) < 0)
    return -err->code;
  return show (context, /* names_only= */ true, err);
}

/* "TERM", "SIGTERM", "15", "RTMIN+3". */
static int parse_signal (const char *text, int *ret_signal, struct err *err)
{
  const char *name = strncasecmp (text, "SIG", 3) == 0 ? text + 3 : text;
  char *end;
  long number = strtol (name, &end, 10);

  if (isdigit ((unsigned char) *name) && !*end && number > 0 && number <= SIGRTMAX) {
    *ret_signal = (int) number;
    return 0;
  }
  if (strncasecmp (name, "RTMIN", 5) == 0) {
    number = name[5] == '+' ? strtol (name + 6, &end, 10) : 0;
    if ((!name[5] || (name[5] == '+' && name[6] && !*end)) && number >= 0 &&
        SIGRTMIN + number <= SIGRTMAX) {
      *ret_signal = SIGRTMIN + (int) number;
      return 0;
    }
  }
  for (int i = 1; i < SIGRTMIN; i++) {
    const char *known = sigabbrev_np (i);

    if (known && strcasecmp (name, known) == 0) {
      *ret_signal = i;
      return 0;
    }
  }
  return err_code (err, ERR_USAGE, "unknown signal \"%s\"; see kill -l", text);
}

int cmd_kill (struct context *context, int argc, char **argv, struct err *err)
{
  const char *text = "KILL";
  const struct option_spec specs[] = {
      {"signal", 's', "SIGNAL", "a name or a number", NULL, &text, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  autonames struct names names = {0};
  size_t failed = 0;
  int first, dashes, signal = 0;

  if (options_parse (context, specs, /* stop_early= */ false, kill_usage, argc, argv, &first,
                     &dashes, err) < 0 ||
      parse_signal (text, &signal, err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  if (context_select (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names.count; i++) {
    autoguest struct guest *guest = NULL;
    autoerr struct err one = {0};

    if (guest_open (root, names.items[i], GUEST_PEEK, &guest, &one) == 0 &&
        live_kill (root, guest, signal, &one) == 0)
      continue;
    failed++;
    if (names.count == 1)
      return err_code (err, one.code, "%s", err_text (&one));
    print_error ("%s", err_text (&one));
  }
  if (failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, names.count);
  return 0;
}
