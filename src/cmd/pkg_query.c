/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that change nothing: what each guest's package manager says, in the order of names. They
 * run over a layer in memory in stopped guests, and in the namespaces of those that run. */
#include "fanout.h"
#include "pkg.h"
#include "pkg/find.h"
#include "pkg/leftovers.h"
#include "pkg/run.h"
#include "util/jobs.h"
#include "util/outputs.h"

enum { JSON_OUTPUT_MAX = 16 << 20 };

struct answer {
  bool ended;
  int status;
  char *error; /* owned */
  int code;    /* of it */
};

struct query {
  struct pkg_call *call;
  struct answer *answers;  /* owned */
  struct outputs *outputs; /* owned */
  size_t next;
};

static bool next (void *data, size_t *ret_job)
{
  struct query *query = data;

  if (query->next == query->call->names.count)
    return false;
  *ret_job = query->next++;
  return true;
}

static void add_environment (const struct pkg_driver *driver, struct names *ret_env)
{
  static const char *const environment[] = {BUNDLE_PATH_VARIABLE, "HOME=/root", "TERM=dumb", NULL};

  pkg_add_words (ret_env, environment);
  pkg_add_words (ret_env, driver->environment);
}

static const char **string_array (const struct names *names)
{
  const char **array = xcalloc (names->count + 1, sizeof *array);

  for (size_t i = 0; i < names->count; i++)
    array[i] = names->items[i];
  return array;
}

/* In a child, whose standard output is the guest's. */
static int run_command (struct vroot *root, struct guest *guest, const struct pkg_driver *driver,
                        const struct pkg_request *request, const struct names *words,
                        int *ret_status, struct err *err)
{
  autonames struct names env_words = {0};
  autorunresult struct run_result result = {0};

  add_environment (driver, &env_words);
  autofree const char **args = string_array (words);
  autofree const char **env = string_array (&env_words);
  struct bundle_command command = {.args = args, .env = env, .cwd = "/"};
  struct run_options options = {
      .commands = &command, .command_count = 1, .query = true, .stdin_fd = -1};
  int running = guest_running (guest, err);

  if (running < 0)
    return running;
  int ret = running ? run_in_running_guest (root, guest, &options, &result, err)
                    : run_in_guest (root, guest, &options, &result, err);
  if (ret < 0)
    return ret;
  *ret_status = result.container.status;
  if (driver->meaning && !request->program) {
    enum pkg_meaning meaning = driver->meaning (PKG_APPLY, request, *ret_status, NULL);

    if (meaning == PKG_OK || meaning == PKG_NOTHING)
      *ret_status = 0;
  }
  return 0;
}

static int run (void *data, size_t job, struct err *err)
{
  const struct query *query = data;
  struct pkg_call *call = query->call;
  autopkgrequest struct pkg_request request = {0};
  autonames struct names words = {0};
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  const struct pkg_driver *driver = NULL;
  const char *program = NULL;
  int status = 0;

  if (context_open_root (call->context, /* write= */ true, &root, err) < 0 ||
      guest_open (root, call->names.items[job], GUEST_LOCKED, &guest, err) < 0 ||
      pkg_find (guest, call->driver, call->program, &driver, &program, err) < 0 ||
      pkg_call_request (call, driver, &request, err) < 0)
    return -err->code;
  autofree char *machine_id = xasprintf ("%.16s%.16s", root->id, root->id);
  const struct pkg_target target = {.program = program, .machine_id = machine_id};
  if (!driver->command (PKG_APPLY, &request, &target, &words))
    return err_code (err, EINVAL, "%s has no command for this", driver->name);
  if (run_command (root, guest, driver, &request, &words, &status, err) < 0)
    return -err->code;
  return status;
}

static int output (void *data, size_t job, int stream, const char *bytes, size_t len,
                   struct err *err)
{
  struct query *query = data;

  return outputs_add (query->outputs, job, stream, bytes, len, err);
}

static int end (void *data, size_t job, int status, const struct err *job_err, struct err *err)
{
  struct query *query = data;
  struct answer *answer = &query->answers[job];

  answer->ended = true;
  answer->status = status;
  answer->code = job_err->code;
  if (job_err->code)
    answer->error = xstrdup (err_text (job_err));
  return outputs_end (query->outputs, job, err);
}

static bool same_answer (const struct query *query, size_t a, size_t b, struct err *err)
{
  const struct answer *x = &query->answers[a], *y = &query->answers[b];

  return y->ended && x->status == y->status && !x->error && !y->error &&
         outputs_equal (query->outputs, a, b, err) == 1;
}

static int print_groups (const struct query *query, struct err *err)
{
  const struct names *names = &query->call->names;
  autofree bool *done = xcalloc (names->count + 1, sizeof *done);

  for (size_t i = 0; i < names->count; i++) {
    autostrbuf struct strbuf text = STRBUF_INIT (SIZE_MAX / 2);

    if (done[i] || !query->answers[i].ended || query->answers[i].error)
      continue;
    for (size_t k = i; k < names->count; k++)
      if (k == i || (!done[k] && same_answer (query, i, k, err))) {
        done[k] = true;
        strbuf_addf (&text, "%s%s", text.len ? "," : "", names->items[k]);
      }
    printf ("---- %s\n", strbuf_str (&text));
    if (fflush (stdout) != 0)
      return err_errno (err, "write to stdout");
    if (err->code || outputs_write (query->outputs, i, err) < 0)
      return -err->code;
  }
  return 0;
}

static int write_json (const struct query *query, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();

  for (size_t i = 0; i < query->call->names.count; i++) {
    const struct answer *answer = &query->answers[i];
    autostrbuf struct strbuf text = STRBUF_INIT (JSON_OUTPUT_MAX);
    json_object *guest = json_object_new_object ();

    json_append (guests, guest);
    json_set_string (guest, "name", query->call->names.items[i]);
    json_set_string (guest, "result",
                     !answer->ended                    ? "skipped"
                     : answer->error || answer->status ? "failed"
                                                       : "done");
    json_set_int (guest, "exit_status", answer->ended && !answer->error ? answer->status : -1);
    json_put (guest, "reason", answer->error ? json_object_new_string (answer->error) : NULL);
    if (outputs_read (query->outputs, i, 1, &text, err) < 0)
      return -err->code;
    json_set_bytes (guest, "output", strbuf_str (&text), text.len);
  }
  json_put (object, "guests", guests);
  print_json (object);
  return 0;
}

/* With one guest the status is its own, as if the manager had been called there. */
static int conclude (const struct query *query, struct err *err)
{
  const struct names *names = &query->call->names;
  size_t failed = 0, locked = 0;

  for (size_t i = 0; i < names->count; i++) {
    const struct answer *answer = &query->answers[i];

    if (!answer->ended || (!answer->error && !answer->status))
      continue;
    failed++;
    locked += answer->code == ERR_LOCKED;
    if (answer->error)
      print_error ("%s: %s", names->items[i], answer->error);
    else if (names->count > 1 && !query->call->context->quiet)
      print_error ("%s: exit status %d", names->items[i], answer->status);
  }
  if (err->code)
    return -err->code;
  if (failed && names->count == 1 && !query->answers[0].error)
    return query->answers[0].status;
  if (failed && locked == failed)
    return err_code (err, ERR_LOCKED, "%zu of %zu guests were locked", failed, names->count);
  if (failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, names->count);
  return 0;
}

int pkg_query (struct pkg_call *call, struct err *err)
{
  autofree struct answer *answers = xcalloc (call->names.count, sizeof *answers);
  bool keep = call->context->json || call->group;
  enum outputs_mode mode = keep                                        ? OUTPUTS_KEEP
                           : call->no_prefix || call->names.count == 1 ? OUTPUTS_RAW
                                                                       : OUTPUTS_LINES;
  autooutputs struct outputs *outputs =
      outputs_new (mode, (const char *const *) call->names.items, call->names.count);
  struct query query = {.call = call, .answers = answers, .outputs = outputs};
  struct jobs jobs = {
      .parallel = call->options.jobs,
      .data = &query,
      .next = next,
      .run = run,
      .output = output,
      .end = end,
  };

  int ret = jobs_run (&jobs, err);
  if (ret == 0 && call->context->json)
    ret = write_json (&query, err);
  else if (ret == 0 && call->group)
    ret = print_groups (&query, err);
  /* What failed is told in any case, and an error that is set already stays. */
  ret = conclude (&query, err);
  for (size_t i = 0; i < call->names.count; i++)
    free (answers[i].error);
  return ret;
}

static int print_conffiles (struct pkg_call *call, struct vroot *root, const char *name,
                            json_object *ret_array, struct err *err)
{
  static const char *const layers[] = {"private", "tree", "base"};
  autoguest struct guest *guest = NULL;
  autonames struct names paths = {0};
  const struct pkg_driver *driver = NULL;
  const char *program = NULL;

  if (guest_open (root, name, GUEST_SHARED, &guest, err) < 0 ||
      pkg_find (guest, call->driver, call->program, &driver, &program, err) < 0)
    return -err->code;
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
    if (leftovers_conffiles (guest, driver, layers[i], NULL, &paths, err) < 0)
      return -err->code;
  names_sort_unique (&paths);
  for (size_t i = 0; i < paths.count; i++) {
    if (!call->context->json)
      printf ("%s: %s\n", name, paths.items[i]);
    json_append (ret_array, json_object_new_string (paths.items[i]));
  }
  return 0;
}

int pkg_conffiles (struct pkg_call *call, struct err *err)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();
  autoroot struct vroot *root = NULL;
  size_t failed = 0;

  if (call->args.count)
    return err_code (err, ERR_USAGE, "conffiles takes no arguments");
  if (context_open_root (call->context, /* write= */ true, &root, err) < 0)
    return -err->code;
  json_put (object, "guests", guests);
  for (size_t i = 0; i < call->names.count; i++) {
    json_object *guest = json_object_new_object (), *paths = json_object_new_array ();
    autoerr struct err guest_err = {0};

    json_append (guests, guest);
    json_set_string (guest, "name", call->names.items[i]);
    json_put (guest, "conffiles", paths);
    if (print_conffiles (call, root, call->names.items[i], paths, &guest_err) < 0) {
      print_error ("%s: %s", call->names.items[i], err_text (&guest_err));
      failed++;
    }
  }
  if (call->context->json)
    print_json (object);
  if (failed)
    return err_code (err, ERR_SOME_FAILED, "%zu of %zu guests failed", failed, call->names.count);
  return 0;
}
