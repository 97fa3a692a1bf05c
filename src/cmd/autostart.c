/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest-autostart start|stop|status|list: guests at the start and the end of the host. */
#include "autostart.h"
#include "fanout.h"
#include "guest/autostart.h"
#include "runtime/live.h"
#include "util/interrupt.h"
#include "util/jobs.h"

/* A stop is mostly waiting. */
enum { STOPS_FOR_CPU = 4 };

struct entry {
  struct settings settings; /* owned */
  const char *state;        /* "running", … */
  bool running;
  char *error; /* owned; why its settings cannot be read, or NULL */
};

enum wanted { WANT_AUTOSTART, WANT_RUNNING, WANT_NAMES };

struct autostart {
  struct context *context;
  enum wanted want;
  const struct names *wanted;     /* borrowed; of WANT_NAMES */
  struct names names;             /* owned; all guests */
  struct entry *entries;          /* owned; of each */
  struct autostart_guest *guests; /* owned; of each */
  struct autostart_plan plan;     /* owned */
  bool stop;
  size_t failed;
  size_t changed;
};

static void autostart_release (struct autostart *a)
{
  autostart_plan_release (&a->plan);
  for (size_t i = 0; i < a->names.count && a->entries; i++) {
    settings_release (&a->entries[i].settings);
    free (a->entries[i].error);
  }
  free (a->entries);
  free (a->guests);
  names_release (&a->names);
}

#define autoautostart __attribute__ ((cleanup (autostart_release)))

static int read_guest (struct vroot *root, const char *name, struct entry *entry, struct err *err)
{
  autoguest struct guest *guest = NULL;

  entry->state = "stopped";
  if (guest_open (root, name, GUEST_PEEK, &guest, err) < 0)
    return -err->code;
  int running = guest_running (guest, err);
  if (running < 0)
    return -err->code;
  entry->running = running;
  if (running)
    entry->state = "running";
  return settings_parse (guest->config, name, &entry->settings, err);
}

static bool is_wanted (const struct autostart *a, const char *name, const struct entry *entry)
{
  switch (a->want) {
  case WANT_RUNNING:
    return entry->running;
  case WANT_NAMES:
    return names_has (a->wanted, name);
  default:
    return !entry->error && entry->settings.autostart;
  }
}

/* Reads all guests, and makes the plan. */
static int make_plan (struct autostart *a, struct err *err)
{
  autoroot struct vroot *root = NULL;

  if (context_open_root (a->context, /* write= */ false, &root, err) < 0 ||
      guest_list (root, &a->names, err) < 0)
    return -err->code;
  a->entries = xcalloc (a->names.count + 1, sizeof *a->entries);
  a->guests = xcalloc (a->names.count + 1, sizeof *a->guests);
  for (size_t i = 0; i < a->names.count; i++) {
    autoerr struct err guest_err = {0};
    struct entry *entry = &a->entries[i];

    if (read_guest (root, a->names.items[i], entry, &guest_err) < 0)
      entry->error = xstrdup (err_text (&guest_err));
    a->guests[i] = (struct autostart_guest){
        .name = a->names.items[i],
        .wanted = is_wanted (a, a->names.items[i], entry),
        .priority = entry->settings.autostart_priority,
        .depends = &entry->settings.depends,
    };
  }
  autostart_plan_make (a->guests, a->names.count, &a->plan);
  for (size_t i = 0; i < a->plan.count; i++) {
    struct autostart_step *step = &a->plan.steps[i];
    const struct entry *entry = &a->entries[step->guest];

    if (entry->running != a->stop)
      step->state = AUTOSTART_DONE;
    else if (entry->error && !a->stop && !step->problem)
      step->problem = xstrdup (entry->error);
  }
  return 0;
}

static bool next (void *data, size_t *ret_step)
{
  struct autostart *a = data;

  if (!(a->stop ? autostart_next_stop (&a->plan, ret_step)
                : autostart_next_start (&a->plan, a->guests, ret_step)))
    return false;
  a->plan.steps[*ret_step].state = AUTOSTART_BEGUN;
  return true;
}

/* In a child process. */
static int run (void *data, size_t step, struct err *err)
{
  static const struct live_start_options start = {.console_fd = -1};
  static const struct live_stop_options stop = {.timeout = -1};
  const struct autostart *a = data;
  const char *name = a->guests[a->plan.steps[step].guest].name;
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;

  if (context_open_root (a->context, /* write= */ true, &root, err) < 0 ||
      guest_open (root, name, GUEST_LOCKED, &guest, err) < 0)
    return -err->code;
  if (a->stop)
    return live_stop (root, guest, &stop, NULL, err);
  /* Somebody else may have started it meanwhile. */
  int running = guest_running (guest, err);
  if (running)
    return running < 0 ? running : 0;
  prepare_start (root, guest);
  return live_start (root, guest, &start, err);
}

static int end (void *data, size_t step, int status, const struct err *job_err, struct err *err)
{
  struct autostart *a = data;
  struct autostart_step *at = &a->plan.steps[step];
  const char *name = a->guests[at->guest].name;

  (void) status;
  (void) err;
  at->state = job_err->code ? AUTOSTART_FAILED : AUTOSTART_DONE;
  if (job_err->code) {
    at->problem = xstrdup (err_text (job_err));
    return 0;
  }
  a->changed++;
  if (!a->context->quiet && !a->context->json) {
    printf ("%s: %s\n", name, a->stop ? "stopped" : "started");
    fflush (stdout);
  }
  return 0;
}

static const char *result_name (const struct autostart *a, const struct autostart_step *step)
{
  switch (step->state) {
  case AUTOSTART_DONE:
    return a->stop ? "stopped" : "running";
  case AUTOSTART_FAILED:
    return "failed";
  default:
    return "skipped";
  }
}

static void print_results (const struct autostart *a)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();

  for (size_t i = 0; i < a->plan.count; i++) {
    const struct autostart_step *step = &a->plan.steps[i];
    json_object *guest = json_object_new_object ();

    json_set_string (guest, "name", a->guests[step->guest].name);
    json_set_string (guest, "result", result_name (a, step));
    json_object_object_add (guest, "error",
                            step->state == AUTOSTART_FAILED && step->problem
                                ? json_object_new_string (step->problem)
                                : NULL);
    json_object_array_add (guests, guest);
  }
  json_set_int (object, "changed", (int64_t) a->changed);
  json_set_int (object, "failed", (int64_t) a->failed);
  json_object_object_add (object, "guests", guests);
  print_json (object);
}

/* Tells what failed: when all is over, as a line of it may be the reason of another. */
static void tell_failures (struct autostart *a)
{
  for (size_t i = 0; i < a->plan.count; i++) {
    const struct autostart_step *step = &a->plan.steps[i];

    if (step->state != AUTOSTART_FAILED)
      continue;
    a->failed++;
    print_error ("guest %s was not %s: %s", a->guests[step->guest].name,
                 a->stop ? "stopped" : "started", step->problem ? step->problem : "?");
  }
  /* Whether these are to be started is not known. */
  for (size_t i = 0; i < a->names.count && a->want == WANT_AUTOSTART; i++)
    if (a->entries[i].error && !a->guests[i].wanted) {
      a->failed++;
      print_error ("%s", a->entries[i].error);
    }
}

static int run_plan (struct autostart *a, unsigned parallel, struct err *err)
{
  struct jobs jobs = {.parallel = parallel, .data = a, .next = next, .run = run, .end = end};
  int ret = jobs_run (&jobs, err);

  tell_failures (a);
  if (a->context->json)
    print_results (a);
  if (ret < 0)
    return ret;
  if (a->failed)
    return err_code (err, ERR_SOME_FAILED, "%zu %s not %s", a->failed,
                     a->failed == 1 ? "guest was" : "guests were", a->stop ? "stopped" : "started");
  return 0;
}

static int carry_out (struct context *context, bool stop, const char *jobs_text, struct err *err)
{
  autoautostart struct autostart a = {
      .context = context, .stop = stop, .want = stop ? WANT_RUNNING : WANT_AUTOSTART};
  unsigned parallel = 0;

  interrupt_install ();
  if (parse_jobs (jobs_text, cpu_count () * (stop ? STOPS_FOR_CPU : 1), &parallel, err) < 0 ||
      make_plan (&a, err) < 0)
    return -err->code;
  return run_plan (&a, parallel, err);
}

/* 1 when one of the guests depends on another. Those that cannot be read are told of later. */
static int any_depends (const struct context *context, const struct names *names, struct err *err)
{
  autoroot struct vroot *root = NULL;
  bool any = false;

  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names->count && !any; i++) {
    struct entry entry = {0};
    autoerr struct err ignored = {0};

    any = read_guest (root, names->items[i], &entry, &ignored) == 0 && entry.settings.depends.count;
    settings_release (&entry.settings);
  }
  return any;
}

int start_in_order (struct context *context, const struct names *names, bool only_others,
                    unsigned parallel, struct err *err)
{
  /* As text always, as of guests that depend on none. */
  struct context text = {.program = context->program,
                         .root_option = context->root_option,
                         .quiet = context->quiet,
                         .no_wait = context->no_wait};
  autoautostart struct autostart a = {.context = &text, .want = WANT_NAMES, .wanted = names};
  int any = any_depends (context, names, err);

  if (any <= 0)
    return any;
  if (make_plan (&a, err) < 0)
    return -err->code;
  for (size_t i = 0; i < a.plan.count; i++) {
    struct autostart_step *step = &a.plan.steps[i];
    const char *name = a.guests[step->guest].name;

    if (!names_has (names, name))
      continue;
    if (only_others)
      step->state = AUTOSTART_DONE;
    else if (a.entries[step->guest].running && !context->quiet && !context->json)
      printf ("%s: is running already\n", name);
  }
  int ret = run_plan (&a, parallel, err);
  return ret < 0 ? ret : 1;
}

static const char start_usage[] =
    "Usage: vguest-autostart start [-j N]\n"
    "Starts the guests that have \"autostart\" set, and those that they depend on: higher\n"
    "priorities first, then by name; those of one priority side by side. A guest that cannot be\n"
    "started, such as one that depends on itself, is told; the others are started.\n";

static const char stop_usage[] =
    "Usage: vguest-autostart stop [-j N]\n"
    "Stops all guests that run, in the reverse of the order in which they are started.\n";

static int no_words (const char *verb, int first, int argc, char **argv, struct err *err)
{
  if (first < argc)
    return err_code (err, ERR_USAGE, "%s takes no words: \"%s\"", verb, argv[first]);
  return 0;
}

static int start_or_stop (struct context *context, bool stop, int argc, char **argv,
                          struct err *err)
{
  const char *jobs = NULL;
  const struct option_spec specs[] = {
      {"jobs", 'j', "N", "so many at once", NULL, &jobs, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int first = 0, dashes = 0;

  if (options_parse (context, specs, /* stop_early= */ false, stop ? stop_usage : start_usage, argc,
                     argv, &first, &dashes, err) < 0 ||
      no_words (argv[0], first, argc, argv, err) < 0)
    return -err->code;
  return carry_out (context, stop, jobs, err);
}

int cmd_autostart_start (struct context *context, int argc, char **argv, struct err *err)
{
  return start_or_stop (context, /* stop= */ false, argc, argv, err);
}

int cmd_autostart_stop (struct context *context, int argc, char **argv, struct err *err)
{
  return start_or_stop (context, /* stop= */ true, argc, argv, err);
}

static int parse_plain (struct context *context, const char *usage, int argc, char **argv,
                        struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  int first = 0, dashes = 0;

  if (options_parse (context, none, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  return no_words (argv[0], first, argc, argv, err);
}

int cmd_autostart_status (struct context *context, int argc, char **argv, struct err *err)
{
  autoautostart struct autostart a = {.context = context};
  size_t running = 0;

  if (parse_plain (context,
                   "Usage: vguest-autostart status\n"
                   "Exits with 0 when all guests that have \"autostart\" set run, and those that\n"
                   "they depend on; with 3 when not, and tells which do not.\n",
                   argc, argv, err) < 0 ||
      make_plan (&a, err) < 0)
    return -err->code;
  for (size_t i = 0; i < a.plan.count; i++)
    running += a.entries[a.plan.steps[i].guest].running;
  if (context->json) {
    autojson json_object *object = json_object_new_object ();

    json_set_int (object, "wanted", (int64_t) a.plan.count);
    json_set_int (object, "running", (int64_t) running);
    print_json (object);
  } else if (!context->quiet) {
    for (size_t i = 0; i < a.plan.count; i++)
      if (!a.entries[a.plan.steps[i].guest].running)
        printf ("%s: stopped\n", a.guests[a.plan.steps[i].guest].name);
    printf ("%zu of %zu guests run\n", running, a.plan.count);
  }
  return running == a.plan.count ? 0 : 3;
}

static char *join (const struct names *names)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  for (size_t i = 0; i < names->count; i++)
    strbuf_addf (&text, "%s%s", i ? "," : "", names->items[i]);
  return xstrdup (text.len ? strbuf_str (&text) : "-");
}

static void print_list (const struct autostart *a)
{
  int width = 4;

  for (size_t i = 0; i < a->plan.count; i++) {
    int len = (int) strlen (a->guests[a->plan.steps[i].guest].name);

    width = len > width ? len : width;
  }
  printf ("%-*s %8s %-9s %-8s %s\n", width, "NAME", "PRIORITY", "AUTOSTART", "STATE", "DEPENDS");
  for (size_t i = 0; i < a->plan.count; i++) {
    const struct autostart_step *step = &a->plan.steps[i];
    const struct autostart_guest *guest = &a->guests[step->guest];
    autofree char *depends = join (guest->depends);

    printf ("%-*s %8lld %-9s %-8s %s\n", width, guest->name, (long long) guest->priority,
            guest->wanted ? "yes" : "needed", a->entries[step->guest].state, depends);
  }
}

static void print_list_json (const struct autostart *a)
{
  autojson json_object *object = json_object_new_object ();
  json_object *guests = json_object_new_array ();

  for (size_t i = 0; i < a->plan.count; i++) {
    const struct autostart_step *step = &a->plan.steps[i];
    const struct autostart_guest *from = &a->guests[step->guest];
    json_object *guest = json_object_new_object (), *depends = json_object_new_array ();

    for (size_t k = 0; k < from->depends->count; k++)
      json_object_array_add (depends, json_object_new_string (from->depends->items[k]));
    json_set_string (guest, "name", from->name);
    json_set_int (guest, "priority", from->priority);
    json_set_bool (guest, "autostart", from->wanted);
    json_set_string (guest, "state", a->entries[step->guest].state);
    json_object_object_add (guest, "depends", depends);
    json_object_object_add (guest, "problem",
                            step->problem ? json_object_new_string (step->problem) : NULL);
    json_object_array_add (guests, guest);
  }
  json_object_object_add (object, "guests", guests);
  print_json (object);
}

int cmd_autostart_list (struct context *context, int argc, char **argv, struct err *err)
{
  autoautostart struct autostart a = {.context = context};

  if (parse_plain (context,
                   "Usage: vguest-autostart list\n"
                   "Shows what start would start, in this order, and what is wrong with it.\n",
                   argc, argv, err) < 0 ||
      make_plan (&a, err) < 0)
    return -err->code;
  if (context->json)
    print_list_json (&a);
  else
    print_list (&a);
  for (size_t i = 0; i < a.plan.count && !context->json; i++)
    if (a.plan.steps[i].problem)
      print_warning ("guest %s will not be started: %s", a.guests[a.plan.steps[i].guest].name,
                     a.plan.steps[i].problem);
  return 0;
}
