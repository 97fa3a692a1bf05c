/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "commands.h"
#include "pkg/find.h"
#include "util/interrupt.h"
#include <time.h>

static const char *const environment[] = {
    BUNDLE_PATH_VARIABLE,
    "HOME=/root",
    "TERM=dumb",
    NULL,
};

/* The guest uses the host's network: also the way out of it. */
static const char *const passed_on[] = {"http_proxy", "https_proxy", "ftp_proxy",
                                        "all_proxy",  "no_proxy",    NULL};

static const char **string_array (const struct names *names)
{
  const char **array = xcalloc (names->count + 1, sizeof *array);

  for (size_t i = 0; i < names->count; i++)
    array[i] = names->items[i];
  return array;
}

static const struct pkg_driver *driver_of (const struct pkg_commands *commands)
{
  return commands->bulk->report->rows[commands->row].driver;
}

static struct bulk_work *work_of (const struct pkg_commands *commands)
{
  return &commands->bulk->works[commands->row];
}

static void set_text (char **text, const char *value)
{
  free (*text);
  *text = xstrdup (value);
}

static void on_line (void *data, const char *line)
{
  struct pkg_commands *commands = data;
  struct pkg_line told = {0};
  const char *text = line + strspn (line, " \t");

  event_line (line);
  if (commands->cause_is_open) {
    char *longer = xasprintf ("%s %s", commands->reason, text);

    free (commands->reason);
    commands->reason = longer;
    commands->cause_is_open = false;
    return;
  }
  driver_of (commands)->line (line, &told);
  const char *why = told.skip ? line + told.skip : text;
  commands->network |= told.network;
  commands->busy |= told.busy;
  commands->failed[commands->at] |= told.failed;
  commands->units += told.units;
  if (told.topic)
    set_text (&commands->topic, text);
  if (told.weight > commands->cause.weight) {
    free (commands->reason);
    commands->reason = commands->topic && told.weight > PKG_LINE_HINT
                           ? xasprintf ("%s %s", commands->topic, why)
                           : xstrdup (why);
    commands->cause = told;
    commands->cause_is_open = told.continues;
  }
  if (*text)
    set_text (&commands->last, text);
  const struct bulk_row *row = &commands->bulk->report->rows[commands->row];
  unsigned per_change = row->driver->units_per_change;
  if (told.units && row->plan.count && per_change) {
    uint64_t percent = commands->units * 100 / (row->plan.count * per_change);

    event_step (row->phase, percent > 100 ? 100 : (int) percent);
  }
}

void pkg_commands_start (struct bulk *bulk, size_t row, struct pkg_commands *ret_commands)
{
  struct pkg_commands commands = {.bulk = bulk, .row = row};
  const struct pkg_driver *driver = bulk->report->rows[row].driver;

  pkg_add_words (&commands.env_words, environment);
  pkg_add_words (&commands.env_words, driver->environment);
  for (const char *const *name = passed_on; *name; name++) {
    const char *value = getenv (*name);
    autofree char *variable = value ? xasprintf ("%s=%s", *name, value) : NULL;

    if (variable)
      names_add (&commands.env_words, variable);
  }
  commands.env = string_array (&commands.env_words);
  *ret_commands = commands;
}

void pkg_commands_release (struct pkg_commands *commands)
{
  int saved = errno;
  struct runlog *log = commands->bulk ? &work_of (commands)->log : NULL;

  /* What is noted there from now on is none of their output. */
  if (log && log->data == commands)
    log->on_line = NULL;
  for (size_t i = 0; i < commands->count; i++) {
    names_release (&commands->words[i]);
    free (commands->args[i]);
    strbuf_release (&commands->output[i]);
  }
  names_release (&commands->env_words);
  free (commands->env);
  free (commands->reason);
  free (commands->last);
  free (commands->topic);
  *commands = (struct pkg_commands){0};
  errno = saved;
}

static void add_words (struct pkg_commands *commands, enum pkg_step step, struct names *words,
                       bool taken)
{
  size_t at = commands->count++;

  commands->words[at] = *words;
  *words = (struct names){0};
  commands->args[at] = string_array (&commands->words[at]);
  commands->steps[at] = step;
  commands->taken[at] = taken;
  commands->output[at] = (struct strbuf) STRBUF_INIT (COMMANDS_OUTPUT_MAX);
  commands->items[at] = (struct bundle_command){
      .args = commands->args[at],
      .env = commands->env,
      .cwd = "/",
      .split = taken,
  };
}

bool pkg_commands_add (struct pkg_commands *commands, enum pkg_step step)
{
  const struct bulk_work *work = work_of (commands);
  const struct bulk_row *row = &commands->bulk->report->rows[commands->row];
  const struct pkg_target target = {
      .program = work->program,
      .machine_id = commands->bulk->machine_id,
      .throwaway = (step == PKG_PLAN || step == PKG_URIS) && row->mode == BULK_STOPPED,
  };
  autonames struct names words = {0};
  bool taken = step != PKG_REFRESH && step != PKG_DOWNLOAD && step != PKG_APPLY;

  if (commands->count == COMMANDS_MAX ||
      !driver_of (commands)->command (step, work->request, &target, &words))
    return false;
  add_words (commands, step, &words, taken);
  return true;
}

void pkg_commands_add_own (struct pkg_commands *commands, const struct names *args,
                           const char *input)
{
  autonames struct names words = {0};

  if (commands->count == COMMANDS_MAX)
    return;
  pkg_add_names (&words, args);
  add_words (commands, PKG_OWN, &words, /* taken= */ false);
  commands->items[commands->count - 1].input = input;
}

void pkg_commands_output (void *data, size_t command, int stream, const char *bytes, size_t len)
{
  struct pkg_commands *commands = data;
  struct runlog *log = &work_of (commands)->log;

  commands->at = command;
  if (commands->taken[command] && stream == 1) {
    strbuf_add (&commands->output[command], bytes, len);
    return;
  }
  log->on_line = on_line;
  log->data = commands;
  runlog_output (log, bytes, len);
}

static const char *text_of (const struct pkg_commands *commands, size_t at, size_t *ret_len)
{
  *ret_len = commands->output[at].len;
  return strbuf_str (&commands->output[at]);
}

static const char *first_text (const struct pkg_commands *commands, enum pkg_step step,
                               size_t *ret_len)
{
  for (size_t i = 0; i < commands->count; i++)
    if (commands->steps[i] == step && commands->taken[i])
      return text_of (commands, i, ret_len);
  *ret_len = 0;
  return "";
}

const char *pkg_commands_text (const struct pkg_commands *commands, enum pkg_step step,
                               size_t *ret_len)
{
  for (size_t i = commands->count; i-- > 0;)
    if (commands->steps[i] == step && commands->taken[i])
      return text_of (commands, i, ret_len);
  *ret_len = 0;
  return "";
}

int pkg_commands_installed (const struct pkg_commands *commands, struct guest *guest, bool first,
                            struct pkg_packages *ret_packages, struct err *err)
{
  const struct pkg_driver *driver = driver_of (commands);
  size_t len;

  if (driver->read_installed) {
    autopkglayers struct pkg_layers layers = {0};

    if (pkg_layers_open (guest, &layers, err) < 0)
      return -err->code;
    return driver->read_installed (layers.fds, layers.count, ret_packages, err);
  }
  const char *text = first ? first_text (commands, PKG_INSTALLED, &len)
                           : pkg_commands_text (commands, PKG_INSTALLED, &len);
  return driver->parse_installed (text, len, ret_packages, err);
}

/* By the status of a command, and what it printed where that is taken and known here. */
static enum pkg_meaning meaning_of (const struct pkg_commands *commands, size_t at, int status,
                                    const char *output)
{
  const struct pkg_driver *driver = driver_of (commands);

  if (driver->meaning && commands->steps[at] != PKG_OWN)
    return driver->meaning (commands->steps[at], work_of (commands)->request, status, output);
  return status ? PKG_FAILED : PKG_OK;
}

static enum container_verdict judge (void *data, size_t command, int status)
{
  enum pkg_meaning meaning = meaning_of (data, command, status, NULL);

  if (meaning == PKG_AGAIN)
    return CONTAINER_AGAIN;
  return meaning == PKG_OK || meaning == PKG_NOTHING ? CONTAINER_GOOD : CONTAINER_FAILED;
}

enum pkg_meaning pkg_commands_meaning (const struct pkg_commands *commands,
                                       const struct run_result *result, size_t *ret_at)
{
  enum pkg_meaning meaning = PKG_OK;
  size_t ran = result->container.commands;

  for (size_t i = 0; i < ran && (meaning == PKG_OK || meaning == PKG_NOTHING); i++) {
    *ret_at = i;
    meaning = meaning_of (commands, i, result->container.statuses[i],
                          commands->taken[i] ? strbuf_str (&commands->output[i]) : NULL);
    if (commands->failed[i] && (meaning == PKG_OK || meaning == PKG_NOTHING))
      meaning = PKG_FAILED;
  }
  if (meaning == PKG_AGAIN)
    meaning = PKG_FAILED;
  if (meaning == PKG_FAILED && commands->busy)
    return PKG_BUSY;
  return meaning == PKG_FAILED && commands->network ? PKG_NETWORK : meaning;
}

static void set_options (struct pkg_commands *commands, struct run_options *options)
{
  options->commands = commands->items;
  options->command_count = commands->count;
  options->judge = judge;
  options->judge_data = commands;
  options->stdin_fd = -1;
  options->output = pkg_commands_output;
  options->output_data = commands;
}

int pkg_commands_run (struct pkg_commands *commands, struct run_options *options,
                      struct run_result *ret_result, struct err *err)
{
  const struct bulk_row *row = &commands->bulk->report->rows[commands->row];
  struct bulk_work *work = work_of (commands);
  struct vroot *root = commands->bulk->root;
  int ret;

  set_options (commands, options);
  if (row->mode == BULK_STOPPED)
    ret = run_in_guest (root, work->guest, options, ret_result, err);
  else
    ret = run_in_running_guest (root, work->guest, options, ret_result, err);
  runlog_end (&work->log);
  return ret;
}

int pkg_commands_run_offline (struct pkg_commands *commands, struct run_options *options,
                              void (*on_phase) (void *data, const char *phase), void *phase_data,
                              struct run_result *ret_result, struct err *err)
{
  struct bulk_work *work = work_of (commands);

  set_options (commands, options);
  int ret = run_offline (commands->bulk->root, work->guest, options, on_phase, phase_data,
                         ret_result, err);
  runlog_end (&work->log);
  return ret;
}

/* The first line that says anything. */
static char *first_line (const char *text)
{
  text += strspn (text, " \t\r\n");
  char *line = xstrndup (text, strcspn (text, "\r\n"));
  for (char *p = line; *p; p++)
    if ((unsigned char) *p < ' ' || *p == 0x7f)
      *p = ' ';
  return line;
}

/* What a plan says of its failure in its own form, as one clean line; or NULL. The caller's. */
static char *explain (const struct pkg_commands *commands, size_t at)
{
  const struct pkg_driver *driver = driver_of (commands);

  if (commands->steps[at] != PKG_PLAN || !driver->explain || !commands->taken[at])
    return NULL;
  autofree char *text = driver->explain (strbuf_str (&commands->output[at]));
  return text && *text ? first_line (text) : NULL;
}

int pkg_commands_fail (const struct pkg_commands *commands, const struct run_result *result,
                       size_t at, struct err *err)
{
  const struct names *words = &commands->words[at];
  const char *text = commands->reason ? commands->reason : commands->last;
  autofree char *said =
      commands->taken[at] ? first_line (strbuf_str (&commands->output[at])) : NULL;

  if (commands->steps[at] == PKG_AUDIT || commands->steps[at] == PKG_VERIFY)
    return err_code (err, EIO, "%s finds fault with the package database%s%s%s",
                     driver_of (commands)->name,
                     commands->steps[at] == PKG_AUDIT ? ", which is to be repaired first" : "",
                     said && *said ? ": " : "", said && *said ? said : "");
  if (commands->steps[at] == PKG_OWN)
    return err_code (err, EIO, "the command %s ended with exit status %d%s%s", words->items[0],
                     result->container.statuses[at], commands->last ? ": " : "",
                     commands->last ? commands->last : "");
  if (text && commands->cause_is_open && said && *said)
    return err_code (err, EIO, "%s %s", text, said);
  autofree char *why = explain (commands, at);
  if (why && !commands->reason)
    return err_code (err, EIO, "%s", why);
  if (text)
    return err_code (err, EIO, "%s", text);
  return err_code (err, EIO, "%s ended with exit status %d", words->items[0],
                   result->container.statuses[at]);
}

int pkg_commands_retry (const struct pkg_commands *commands, unsigned tries,
                        enum pkg_meaning meaning, struct err *err)
{
  struct timespec left = {.tv_sec = (time_t) 2 << (tries > 8 ? 8 : tries)};

  if ((meaning != PKG_BUSY && meaning != PKG_NETWORK) || tries >= commands->bulk->options->retries)
    return 0;
  autofree char *text =
      xasprintf ("%s; trying again in %ld s",
                 commands->reason ? commands->reason : "a passing error", (long) left.tv_sec);
  runlog_note (&work_of (commands)->log, "%s", text);
  event_note (text);
  while (nanosleep (&left, &left) < 0 && errno == EINTR)
    if (interrupt_check (err) < 0)
      return -err->code;
  return interrupt_check (err) < 0 ? -err->code : 1;
}
