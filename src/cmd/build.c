/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES build -m clone [--hostname H] [--force] -- -s SOURCE [-X FILE] */
#include "cmd/cmd.h"
#include "runtime/live.h"
#include "template/source.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAMES build -m METHOD [--hostname H] [--force] -- ARG…\n"
    "Makes guests. NAMES is a name, a comma list, or a range: web1, web1,db, web[01-50].\n"
    "\n"
    "Methods:\n"
    "  clone                    hard links to the files of a template or a guest\n"
    "    -s, --source SOURCE        a template or a guest; where both have that name\n"
    "                               the template: template:NAME, guest:NAME say which\n"
    "    -X, --exclude-from FILE    leave out what these patterns match: one a line,\n"
    "                               \"#\" comments, \"/a/b*\" from the root or one name\n"
    "                               at any depth\n"
    "\n"
    "A clone has its own hostname, hosts and machine-id, and not the ssh host keys and other\n"
    "secrets that clone.policy lists. All of it is made, or nothing.\n";

static const char *const methods[] = {"clone", NULL};

struct arguments {
  const char *method;
  const char *source;
  struct names exclude; /* owned */
  struct build_options options;
};

static int check_method (const char *method, struct err *err)
{
  if (!method)
    return err_code (err, ERR_USAGE, "-m METHOD is missing; the methods are: clone");
  for (const char *const *known = methods; *known; known++)
    if (strcmp (method, *known) == 0)
      return 0;
  return err_code (err, ERR_USAGE, "unknown method \"%s\"; the methods are: clone", method);
}

/* What is behind "--" belongs to the method. */
static int parse_clone (struct context *context, struct arguments *arguments, int argc, char **argv,
                        struct err *err)
{
  const struct option_spec specs[] = {
      {"source", 's', "SOURCE", "a template or a guest", NULL, &arguments->source, NULL},
      {"exclude-from", 'X', "FILE", "patterns of what to leave out", NULL, NULL,
       &arguments->exclude},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  if (first < argc)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  if (!arguments->source)
    return err_code (err, ERR_USAGE, "-s SOURCE is missing behind \"--\"");
  return 0;
}

static int parse (struct context *context, struct arguments *arguments, int argc, char **argv,
                  struct err *err)
{
  const struct option_spec specs[] = {
      {"method", 'm', "METHOD", "how to make the guests", NULL, &arguments->method, NULL},
      {"hostname", 0, "H", "the host name, for one guest", NULL, &arguments->options.hostname,
       NULL},
      {"force", 0, NULL, "move guests that exist aside", &arguments->options.force, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  int words = dashes < argc || (argc > 1 && strcmp (argv[argc - 1], "--") == 0) ? dashes - 1 : argc;
  if (first < words)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  if (check_method (arguments->method, err) < 0)
    return -err->code;
  /* getopt wants something that stands where the program's name does: the "--". */
  return parse_clone (context, arguments, argc - words, argv + words, err);
}

static json_object *result_object (const char *name, const struct arguments *arguments,
                                   const struct build_result *result)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "name", name);
  json_set_bool (object, "ok", result->err.code == 0);
  if (result->err.code) {
    json_set_string (object, "error", err_text (&result->err));
    return object;
  }
  json_set_string (object, "source", arguments->source);
  json_set_string (object, "hostname", result->hostname);
  json_set_int (object, "files", (int64_t) result->counts.files);
  json_set_int (object, "directories", (int64_t) result->counts.directories);
  json_set_int (object, "skipped", (int64_t) result->counts.skipped);
  json_object_object_add (object, "seconds", json_object_new_double (result->seconds));
  json_set_string (object, "aside", result->aside);
  return object;
}

static void print_result (const char *name, const struct arguments *arguments,
                          const struct build_result *result)
{
  printf ("%s: cloned from %s (%" PRIu64 " files, %.2f s)\n", name, arguments->source,
          result->counts.files, result->seconds);
  if (result->aside)
    printf ("%s: the guest that it replaces is kept in %s\n", name, result->aside);
}

/* Prints what came of each guest. Returns how many failed. */
static size_t report (const struct context *context, const struct arguments *arguments,
                      const struct names *names, const struct build_result *results)
{
  autojson json_object *object = json_object_new_object ();
  json_object *list = json_object_new_array ();
  size_t failed = 0;

  json_object_object_add (object, "guests", list);
  progress_clear ();
  for (size_t i = 0; i < names->count; i++) {
    if (results[i].err.code) {
      failed++;
      if (names->count > 1)
        print_error ("%s: %s", names->items[i], err_text (&results[i].err));
    } else if (!context->json && !context->quiet) {
      print_result (names->items[i], arguments, &results[i]);
    }
    if (context->json)
      json_object_array_add (list, result_object (names->items[i], arguments, &results[i]));
  }
  if (context->json)
    print_json (object);
  return failed;
}

static int build (struct context *context, const struct arguments *arguments,
                  const struct names *names, struct err *err)
{
  autoroot struct vroot *root = NULL;
  autobuildsource struct build_source source = {0};

  /* The source is locked from here on, and may be one that is replaced. */
  if (context_open_root (context, /* write= */ true, &root, err) < 0 ||
      (arguments->options.force && live_recover_all (root, names, err) < 0) ||
      source_open (root, arguments->source, &source, err) < 0)
    return -err->code;
  struct build_result *results = xcalloc (names->count, sizeof *results);
  int ret = build_clones (root, &source, names, &arguments->options, results, err);
  if (ret == 0) {
    size_t failed = report (context, arguments, names, results);

    if (failed && names->count == 1) {
      *err = results[0].err;
      results[0].err = (struct err){0};
      ret = -err->code;
    } else if (failed) {
      ret = err_code (err, ERR_SOME_FAILED, "%zu of %zu guests could not be made", failed,
                      names->count);
    }
  }
  build_results_free (results, names->count);
  return ret;
}

int cmd_build (struct context *context, int argc, char **argv, struct err *err)
{
  autoclonepolicy struct clone_policy policy = {0};
  autonames struct names names = {0};
  struct arguments arguments = {.options = {.policy = &policy}};
  int ret = parse (context, &arguments, argc, argv, err);

  if (ret == 0 && !context->names)
    ret = err_code (err, ERR_USAGE, "build needs the names of the guests to make, not --all");
  if (ret == 0)
    ret = names_expand (context->names, &names, err);
  if (ret == 0)
    ret = build_check_names (&names, &arguments.options, err);
  if (ret == 0)
    ret = clone_policy_load (&policy, err);
  for (size_t i = 0; ret == 0 && i < arguments.exclude.count; i++)
    ret = clone_policy_exclude (arguments.exclude.items[i], &policy, err);
  if (ret == 0) {
    interrupt_install ();
    ret = build (context, &arguments, &names, err);
  }
  names_release (&arguments.exclude);
  return ret;
}
