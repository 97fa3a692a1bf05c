/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template_run.h"
#include "guest/names.h"
#include "pkg/run.h"
#include "util/progress.h"
#include "util/tail.h"

struct watch {
  struct tail tail;
  char line[256];
  size_t len;
};

static void on_output (void *data, size_t command, int stream, const char *bytes, size_t len)
{
  struct watch *watch = data;

  (void) command;
  (void) stream;

  tail_add (&watch->tail, bytes, len);
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != '\n') {
      if (watch->len < sizeof watch->line - 1)
        watch->line[watch->len++] = bytes[i];
      continue;
    }
    watch->line[watch->len] = '\0';
    if (watch->len)
      progress_line (watch->line);
    watch->len = 0;
  }
}

static const char *const environment[] = {
    "DEBIAN_FRONTEND=noninteractive",
    "UCF_FORCE_CONFFOLD=1",
    "APT_LISTCHANGES_FRONTEND=none",
    "NEEDRESTART_SUSPEND=1",
    "LC_ALL=C.UTF-8",
    "HOME=/root",
    BUNDLE_PATH_VARIABLE,
    NULL,
};

/* Beside it, how to reach the network. */
static void make_environment (struct names *env)
{
  static const char *const passed[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", NULL};

  for (const char *const *variable = environment; *variable; variable++)
    names_add (env, *variable);
  for (const char *const *name = passed; *name; name++) {
    const char *value = getenv (*name);
    autofree char *line = value ? xasprintf ("%s=%s", *name, value) : NULL;

    if (line)
      names_add (env, line);
  }
}

static int run (struct import *import, struct guest *guest, const struct bundle_command *commands,
                size_t count, struct err *err)
{
  autorunresult struct run_result result = {0};
  struct watch watch = {.len = 0};
  struct run_options options = {
      .commands = commands,
      .command_count = count,
      .stdin_fd = -1,
      .output = on_output,
      .output_data = &watch,
  };
  /* The writer's umask is not for the commands. */
  mode_t old = umask (022);
  int ret = run_in_guest (import->root, guest, &options, &result, err);

  umask (old);
  progress_clear ();
  if (ret < 0)
    return ret;
  if (!result.container.status)
    return 0;
  size_t last = result.container.commands ? result.container.commands - 1 : 0;
  autofree char *tail = tail_text (watch.tail.bytes, watch.tail.len);
  return err_code (err, EIO, "%s ended with exit status %d; its last lines:%s",
                   commands[last].args[0], result.container.status, tail);
}

int template_run (struct import *import, struct guest *guest, const char *const *const *commands,
                  size_t count, struct err *err)
{
  autofree struct bundle_command *bundle = xcalloc (count, sizeof *bundle);
  autonames struct names names = {0};

  make_environment (&names);
  autofree const char **env = xcalloc (names.count + 1, sizeof *env);
  for (size_t i = 0; i < names.count; i++)
    env[i] = names.items[i];
  for (size_t i = 0; i < count; i++)
    bundle[i] = (struct bundle_command){.args = commands[i], .env = env, .cwd = "/"};
  return run (import, guest, bundle, count, err);
}

/* The words of a step: the caller's array, borrowed words. */
static const char **step_words (json_object *step)
{
  bool list = json_object_is_type (step, json_type_array);
  size_t count = list ? json_object_array_length (step) : 3;
  const char **words = xcalloc (count + 1, sizeof *words);

  if (!list) {
    words[0] = "/bin/sh";
    words[1] = "-ec";
    words[2] = json_object_get_string (step);
    return words;
  }
  for (size_t i = 0; i < count; i++)
    words[i] = json_object_get_string (json_object_array_get_idx (step, i));
  return words;
}

int template_run_steps (void *data, struct import *import, json_object *steps, struct err *err)
{
  size_t count = json_object_array_length (steps);
  autofree const char ***commands = xcalloc (count, sizeof *commands);
  autoguest struct guest *guest = NULL;

  (void) data;
  if (import_complete (import, err) < 0 || stage_make (import, import->tree_fd, &guest, err) < 0)
    return -err->code;
  for (size_t i = 0; i < count; i++)
    commands[i] = step_words (json_object_array_get_idx (steps, i));
  int ret = template_run (import, guest, (const char *const *const *) commands, count, err);
  for (size_t i = 0; i < count; i++)
    free (commands[i]);
  if (ret < 0)
    return err_wrap (err, "the steps of the definition");
  return stage_take (import, guest, NULL, err);
}
