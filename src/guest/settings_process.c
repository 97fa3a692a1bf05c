/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of a plain guest's command. */
#include "settings_internal.h"
#include <signal.h>

enum { USER_MAX = 256, RT_MIN = 34, RT_MAX = 64 };

int parse_user (const struct setting *setting, json_object *value, struct settings *settings,
                struct err *err)
{
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  const char *colon = strchr (text, ':');
  bool bad = !*text || *text == ':' || strlen (text) > USER_MAX ||
             (colon && (!colon[1] || strchr (colon + 1, ':')));
  for (const char *p = text; *p; p++)
    bad |= (unsigned char) *p <= ' ' || *p == 0x7f || *p == '/';
  if (bad)
    return err_code (err, ERR_USAGE, "\"%.60s\" is no user: USER or USER:GROUP is expected", text);
  settings->user = xstrdup (text);
  return 0;
}

int parse_working_dir (const struct setting *setting, json_object *value, struct settings *settings,
                       struct err *err)
{
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  if (!setting_path_is_clean (text))
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is no absolute path without \".\", \"..\" and double slashes",
                     text);
  settings->working_dir = xstrdup (text);
  return 0;
}

/* Digits behind "RTMIN+" and the like; "" is 0. -1 for anything else. */
static int offset (const char *text, char sign)
{
  if (!*text)
    return 0;
  if (*text++ != sign || !*text || strlen (text) > 2 || text[strspn (text, "0123456789")])
    return -1;
  return (int) strtol (text, NULL, 10);
}

/* "SIGTERM", "term", "15", "SIGRTMIN+3", "RTMAX-1": its number, or 0. */
static int signal_by_name (const char *text)
{
  static const struct {
    const char *name;
    int number;
  } names[] = {
      {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ILL", SIGILL},
      {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},
      {"KILL", SIGKILL}, {"USR1", SIGUSR1},     {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
      {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"CHLD", SIGCHLD},
      {"CONT", SIGCONT}, {"STOP", SIGSTOP},     {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
      {"TTOU", SIGTTOU}, {"URG", SIGURG},       {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
      {"PROF", SIGPROF}, {"VTALRM", SIGVTALRM}, {"IO", SIGIO},     {"WINCH", SIGWINCH},
      {"PWR", SIGPWR},   {"SYS", SIGSYS},
  };

  if (*text >= '0' && *text <= '9') {
    int number = strlen (text) <= 2 && !text[strspn (text, "0123456789")]
                     ? (int) strtol (text, NULL, 10)
                     : 0;

    return number <= RT_MAX ? number : 0;
  }
  if (strncasecmp (text, "SIG", 3) == 0)
    text += 3;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcasecmp (names[i].name, text) == 0)
      return names[i].number;
  bool low = strncasecmp (text, "RTMIN", 5) == 0;
  if (!low && strncasecmp (text, "RTMAX", 5) != 0)
    return 0;
  int by = offset (text + 5, low ? '+' : '-');
  return by < 0 || by > RT_MAX - RT_MIN ? 0 : low ? RT_MIN + by : RT_MAX - by;
}

int parse_stop_signal (const struct setting *setting, json_object *value, struct settings *settings,
                       struct err *err)
{
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  settings->stop_signal = signal_by_name (text);
  if (!settings->stop_signal)
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is no signal: a name such as SIGTERM, or a number, is expected",
                     text);
  return 0;
}
