/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command_options.h"
#include "guest/settings.h"
#include "pkg/run.h"

void command_options_release (struct command_options *options)
{
  names_release (&options->env);
}

void command_line_release (struct command_line *line)
{
  names_release (&line->env);
  free (line->env_list);
  *line = (struct command_line){0};
}

static int check_env (const struct names *env, struct err *err)
{
  for (size_t i = 0; i < env->count; i++) {
    const char *equals = strchr (env->items[i], '=');

    if (!equals || equals == env->items[i])
      return err_code (err, ERR_USAGE, "bad --env \"%s\": NAME=VALUE is expected", env->items[i]);
  }
  return 0;
}

/* @own: of a guest's settings. */
static void fill_env (struct command_line *line, const struct names *own)
{
  const struct command_options *options = line->options;
  const char *term = getenv ("TERM");
  autofree char *term_variable = xasprintf ("TERM=%s", term && *term ? term : "dumb");
  const char *const defaults[] = {BUNDLE_PATH_VARIABLE, "LANG=C.UTF-8", term_variable,
                                  options->user ? NULL : "HOME=/root", NULL};

  for (const char *const *variable = defaults; *variable; variable++)
    if (!environment_has (&options->env, *variable) && !environment_has (own, *variable))
      names_add (&line->env, *variable);
  for (size_t i = 0; i < own->count; i++)
    if (!environment_has (&options->env, own->items[i]))
      names_add (&line->env, own->items[i]);
  for (size_t i = 0; i < options->env.count; i++)
    names_add (&line->env, options->env.items[i]);
  line->env_list = xcalloc (line->env.count + 1, sizeof *line->env_list);
  for (size_t i = 0; i < line->env.count; i++)
    line->env_list[i] = line->env.items[i];
  line->command.env = line->env_list;
}

int command_line_make (const struct command_options *options, char **args,
                       struct command_line *ret_line, struct err *err)
{
  autocommandline struct command_line line = {.options = options};

  line.command.cwd = options->cwd ? options->cwd : "/";
  if (line.command.cwd[0] != '/')
    return err_code (err, ERR_USAGE, "the directory \"%s\" must be an absolute path", options->cwd);
  if (options->user && (options->user[0] == '\0' || options->user[0] == ':'))
    return err_code (err, ERR_USAGE, "bad user \"%s\": USER or USER:GROUP is expected",
                     options->user);
  if (check_env (&options->env, err) < 0)
    return -err->code;
  line.command.user = options->user;
  line.command.args = (const char *const *) args;
  *ret_line = line;
  line = (struct command_line){0};
  return 0;
}

int command_line_in (const struct command_line *line, const struct guest *guest,
                     struct command_line *ret_line, struct err *err)
{
  autosettings struct settings settings = {0};

  if (settings_parse (guest->config, guest->name, &settings, err) < 0)
    return -err->code;
  *ret_line = (struct command_line){.command = line->command, .options = line->options};
  fill_env (ret_line, &settings.environment);
  return 0;
}

int command_line_find (int first, int dashes, int argc, char **argv, int *ret_at, struct err *err)
{
  bool has_dashes = dashes > first && strcmp (argv[dashes - 1], "--") == 0;

  if (has_dashes && first < dashes - 1)
    return err_code (err, ERR_USAGE, "unexpected \"%s\" before --", argv[first]);
  *ret_at = has_dashes ? dashes : first;
  if (*ret_at >= argc)
    return err_code (err, ERR_USAGE, "a command is expected after --; see --help");
  return 0;
}

void print_kept (const struct context *context, const char *name, const struct run_result *result)
{
  if (result->keep_error)
    print_warning ("guest %s: what the command left could not be kept: %s", name,
                   result->keep_error);
  if (result->kept_failed && !context->quiet)
    print_warning ("guest %s: what the command left is kept: vguest %s enter --failed", name, name);
}
