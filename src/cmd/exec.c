/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES exec: a command in stopped guests, committed when it succeeds. */
#include "cmd.h"
#include "pkg/run.h"
#include "util/interrupt.h"

static const char usage[] =
    "Usage: vguest NAMES exec [OPTION…] -- COMMAND [ARG…]\n"
    "Run a command in the stopped guests NAMES, one after another. What it changes becomes part "
    "of\n"
    "the guest when it exits with 0; else the guest is as before. /run and /tmp are empty and\n"
    "temporary.\n\n"
    "Exit status: the command's for one guest (128 + N after signal N, 127 when there is no such\n"
    "command); for several 0, or 3 when it failed in some.\n";

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct exec_options {
  const struct names *env; /* borrowed */
  const char *cwd;
  const char *user;
  bool discard;
  bool times;
};

static int parse_id (const char *text, char end, unsigned *ret_id, const char **ret_rest,
                     struct err *err)
{
  char *rest;

  errno = 0;
  unsigned long id = strtoul (text, &rest, 10);
  if (rest == text || text[0] < '0' || text[0] > '9' || errno || id >= UINT32_MAX ||
      (*rest && *rest != end))
    return err_code (err, ERR_USAGE, "bad --user \"%s\": UID or UID:GID, in numbers, is expected",
                     text);
  *ret_id = (unsigned) id;
  *ret_rest = rest;
  return 0;
}

static int fill_command (const struct exec_options *options, struct bundle_command *command,
                         struct err *err)
{
  const char *rest = "";

  command->cwd = options->cwd ? options->cwd : "/";
  if (command->cwd[0] != '/')
    return err_code (err, ERR_USAGE, "the directory \"%s\" must be an absolute path", command->cwd);
  if (!options->user)
    return 0;
  if (parse_id (options->user, ':', &command->uid, &rest, err) < 0)
    return -err->code;
  command->gid = command->uid;
  if (*rest == ':' && parse_id (rest + 1, '\0', &command->gid, &rest, err) < 0)
    return -err->code;
  return 0;
}

/* The variables: PATH, HOME, TERM, then those of --env, which may replace them. */
static int fill_env (const struct exec_options *options, struct names *env, struct err *err)
{
  const char *term = getenv ("TERM");
  autofree char *term_variable = xasprintf ("TERM=%s", term && *term ? term : "dumb");
  const char *const defaults[] = {DEFAULT_PATH, "HOME=/root", "LANG=C.UTF-8", term_variable, NULL};

  for (size_t i = 0; i < options->env->count; i++) {
    const char *equals = strchr (options->env->items[i], '=');

    if (!equals || equals == options->env->items[i])
      return err_code (err, ERR_USAGE, "bad --env \"%s\": NAME=VALUE is expected",
                       options->env->items[i]);
  }
  for (const char *const *variable = defaults; *variable; variable++) {
    size_t len = strcspn (*variable, "=") + 1;
    bool replaced = false;

    for (size_t i = 0; i < options->env->count; i++)
      replaced |= strncmp (options->env->items[i], *variable, len) == 0;
    if (!replaced)
      names_add (env, *variable);
  }
  for (size_t i = 0; i < options->env->count; i++)
    names_add (env, options->env->items[i]);
  return 0;
}

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

/* Runs in one guest; *ret_status is the command's. */
static int exec_one (struct vroot *root, const char *name, const struct exec_options *options,
                     const struct bundle_command *command, int *ret_status, struct err *err)
{
  autoguest struct guest *guest = NULL;
  autorunresult struct run_result result = {0};
  struct run_options run = {
      .commands = command,
      .command_count = 1,
      .discard = options->discard,
      .stdin_fd = STDIN_FILENO,
  };

  if (guest_open (root, name, GUEST_LOCKED, &guest, err) < 0)
    return -err->code;
  if (run_in_guest (root, guest, &run, &result, err) < 0)
    return err_wrap (err, "guest %s", name);
  if (result.report.failed)
    print_warning ("guest %s: %lu files could not be shared: %s", name,
                   (unsigned long) result.report.failed,
                   result.report.first_error ? result.report.first_error : "");
  if (options->times)
    print_times (name, &result);
  *ret_status = result.container.status;
  return 0;
}

static int exec_all (struct vroot *root, const struct names *names,
                     const struct exec_options *options, const struct bundle_command *command,
                     bool quiet, struct err *err)
{
  size_t failed = 0;
  int status = 0;

  for (size_t i = 0; i < names->count; i++) {
    autoerr struct err one = {0};
    const char *name = names->items[i];

    if (names->count > 1 && !quiet)
      fprintf (stderr, "%s:\n", name);
    if (exec_one (root, name, options, command, &status, &one) < 0) {
      if (names->count == 1 || one.code == ERR_INTERRUPTED)
        return err_code (err, one.code, "%s", err_text (&one));
      print_error ("%s", err_text (&one));
      failed++;
    } else if (status) {
      if (!quiet)
        print_error ("%s: the command ended with exit status %d: guest as before", name, status);
      failed++;
    }
  }
  if (names->count == 1)
    return status;
  if (failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, names->count);
  return 0;
}

/* Where the command begins in argv: behind "--", or the first word that is no option. */
static int find_command (int first, int dashes, int argc, char **argv, int *ret_at, struct err *err)
{
  bool has_dashes = dashes > first && strcmp (argv[dashes - 1], "--") == 0;

  if (has_dashes && first < dashes - 1)
    return err_code (err, ERR_USAGE, "unexpected \"%s\" before --", argv[first]);
  *ret_at = has_dashes ? dashes : first;
  if (*ret_at >= argc)
    return err_code (err, ERR_USAGE, "a command is expected after --; see --help");
  return 0;
}

int cmd_exec (struct context *context, int argc, char **argv, struct err *err)
{
  autonames struct names variables = {0}, names = {0}, env = {0};
  struct exec_options options = {.env = &variables};
  const struct option_spec specs[] = {
      {"env", 'e', "NAME=VALUE", "set a variable (may be repeated)", NULL, NULL, &variables},
      {"cwd", 'C', "DIR", "run in this directory of the guest", NULL, &options.cwd, NULL},
      {"user", 'u', "UID[:GID]", "run as this user of the guest", NULL, &options.user, NULL},
      {"discard", 0, NULL, "throw all changes away", &options.discard, NULL, NULL},
      {"times", 0, NULL, "tell where the time went", &options.times, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autoroot struct vroot *root = NULL;
  struct bundle_command command = {0};
  int first = 0, dashes = 0, at = 0;

  if (options_parse (context, specs, /* stop_early= */ true, usage, argc, argv, &first, &dashes,
                     err) < 0 ||
      find_command (first, dashes, argc, argv, &at, err) < 0 ||
      fill_command (&options, &command, err) < 0 || fill_env (&options, &env, err) < 0)
    return -err->code;
  autofree const char **env_list = xcalloc (env.count + 1, sizeof *env_list);
  for (size_t i = 0; i < env.count; i++)
    env_list[i] = env.items[i];
  command.env = env_list;
  command.args = (const char *const *) argv + at;

  interrupt_install ();
  if (context_select (context, &names, err) < 0 ||
      context_open_root (context, /* write= */ true, &root, err) < 0)
    return -err->code;
  return exec_all (root, &names, &options, &command, context->quiet, err);
}
