/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "health.h"
#include "runtime/session.h"
#include "util/clock.h"
#include "util/interrupt.h"
#include "util/strbuf.h"
#include <time.h>

enum { STEP_MS = 250, OUTPUT_MAX = 16 << 10 };

struct probe {
  struct strbuf output; /* the beginning of what the last try said */
};

static void take_output (void *data, int stream, const char *bytes, size_t len)
{
  struct probe *probe = data;
  size_t room = OUTPUT_MAX - 1 - probe->output.len;

  (void) stream;
  strbuf_add (&probe->output, bytes, len < room ? len : room);
}

static void wait_step (void)
{
  static const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};

  nanosleep (&step, NULL);
}

/* Is the guest still running on the init that it had at first? */
static int check_alive (struct vroot *root, struct guest *guest, pid_t first_init, struct err *err)
{
  autoliveinfo struct live_info info = {0};

  if (interrupt_check (err) < 0 || live_info_read (root, guest, &info, err) < 0)
    return -err->code;
  if (info.state != LIVE_RUNNING)
    return err_code (err, ESRCH, "guest %s stopped again by itself", guest->name);
  if (first_init && info.init_pid != first_init)
    return err_code (err, ESRCH, "guest %s restarted by itself", guest->name);
  return 0;
}

static int wait_alive (struct vroot *root, struct guest *guest, double seconds, struct err *err)
{
  autoliveinfo struct live_info info = {0};
  uint64_t start = clock_us ();

  if (live_info_read (root, guest, &info, err) < 0)
    return -err->code;
  do {
    if (check_alive (root, guest, info.init_pid, err) < 0)
      return -err->code;
    wait_step ();
  } while (clock_seconds_since (start) < seconds);
  return check_alive (root, guest, info.init_pid, err);
}

/* Runs the health command once. */
static int try_command (struct vroot *root, struct guest *guest, const char *const *args,
                        struct probe *probe, int *ret_status, struct err *err)
{
  static const char *const env[] = {BUNDLE_PATH_VARIABLE, "HOME=/root", "LC_ALL=C.UTF-8", NULL};
  autoliveinfo struct live_info info = {0};
  struct bundle_command command = {.args = args, .env = env, .cwd = "/"};
  struct session_options options = {
      .command = &command,
      .stdin_fd = -1,
      .output = take_output,
      .output_data = probe,
  };

  strbuf_truncate (&probe->output, 0);
  if (check_alive (root, guest, 0, err) < 0 || live_info_read (root, guest, &info, err) < 0)
    return -err->code;
  return session_run (root, guest, &info, &options, ret_status, err);
}

static int wait_command (struct vroot *root, struct guest *guest, const struct settings *settings,
                         struct probe *probe, struct err *err)
{
  autofree const char **args = xcalloc (settings->health.count + 1, sizeof *args);
  uint64_t start = clock_us ();
  int status = 0;

  for (size_t i = 0; i < settings->health.count; i++)
    args[i] = settings->health.items[i];
  for (;;) {
    if (try_command (root, guest, args, probe, &status, err) < 0)
      return -err->code;
    if (status == 0)
      return 0;
    if (clock_seconds_since (start) >= (double) settings->health_timeout)
      break;
    wait_step ();
  }
  const char *text = strbuf_str (&probe->output);
  return err_code (err, ETIMEDOUT,
                   "the health command of guest %s still fails after %lld s: exit status %d%s%.*s",
                   guest->name, (long long) settings->health_timeout, status, *text ? ": " : "",
                   (int) strcspn (text, "\n"), text);
}

int health_wait (struct vroot *root, struct guest *guest, const struct settings *settings,
                 struct err *err)
{
  struct probe probe = {.output = STRBUF_INIT (OUTPUT_MAX)};
  double alive = HEALTH_ALIVE_SECONDS;

  if (settings->health_timeout < HEALTH_ALIVE_SECONDS)
    alive = (double) settings->health_timeout;
  int ret = settings->health.count ? wait_command (root, guest, settings, &probe, err)
                                   : wait_alive (root, guest, alive, err);
  strbuf_release (&probe.output);
  return ret;
}
