/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest NAMES build -m METHOD [OPTION…] -- ARG… */
#include "cmd/build_method.h"
#include "runtime/live.h"
#include "util/fd.h"
#include "util/interrupt.h"
#include "util/progress.h"
#include <inttypes.h>

static const char usage[] =
    "Usage: vguest NAMES build -m METHOD [OPTION…] -- ARG…\n"
    "Makes guests. NAMES is a name, a comma list, or a range: web1, web1,db, web[01-50].\n"
    "\n" BUILD_METHODS_HELP "\n"
    "Each guest has its own hostname, hosts and machine-id, and not the ssh host keys and other\n"
    "secrets that clone.policy lists. All of it is made, or nothing. What several guests are made "
    "of is fetched once.\n";

static int parse (struct context *context, struct build_arguments *arguments, int argc, char **argv,
                  struct err *err)
{
  const char *pull = NULL;
  const struct option_spec specs[] = {
      {"method", 'm', "METHOD", "how to make the guests", NULL, &arguments->method, NULL},
      {"hostname", 0, "H", "the host name, for one guest", NULL, &arguments->options.hostname,
       NULL},
      {"thin", 0, NULL, "clone: lie over the source's files", &arguments->options.thin, NULL, NULL},
      {"force", 0, NULL, "move guests that exist aside", &arguments->options.force, NULL, NULL},
      {"pull", 0, "WHEN", "make a template: always, missing, never", NULL, &pull, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  int first, dashes;

  if (options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                     err) < 0)
    return -err->code;
  int words = dashes < argc || (argc > 1 && strcmp (argv[argc - 1], "--") == 0) ? dashes - 1 : argc;
  if (first < words)
    return err_code (err, ERR_USAGE, "unexpected argument \"%s\"", argv[first]);
  if (pull_parse (pull, &arguments->pull, err) < 0)
    return -err->code;
  if (arguments->options.thin && (!arguments->method || strcmp (arguments->method, "clone") != 0))
    return err_code (err, ERR_USAGE, "--thin is for -m clone");
  /* getopt wants something that stands where the program's name does: the "--". */
  char *none[] = {argv[0], NULL};
  return words < argc ? build_method_parse (context, arguments, argc - words, argv + words, err)
                      : build_method_parse (context, arguments, 1, none, err);
}

static json_object *result_object (const char *name, const struct build_arguments *arguments,
                                   const struct build_result *result)
{
  json_object *object = json_object_new_object ();

  json_set_string (object, "name", name);
  json_set_bool (object, "ok", result->err.code == 0);
  if (result->err.code) {
    json_set_string (object, "error", err_text (&result->err));
    return object;
  }
  json_set_string (object, "method", arguments->method);
  if (arguments->source)
    json_set_string (object, "source", arguments->source);
  json_set_string (object, "hostname", result->hostname);
  json_set_bool (object, "thin", arguments->options.thin);
  json_set_int (object, "files", (int64_t) result->counts.files);
  json_set_int (object, "directories", (int64_t) result->counts.directories);
  json_set_int (object, "skipped", (int64_t) result->counts.skipped);
  json_set_int (object, "copied", (int64_t) result->counts.copied);
  json_object_object_add (object, "seconds", json_object_new_double (result->seconds));
  json_set_string (object, "aside", result->aside);
  return object;
}

static void print_result (const char *name, const struct build_arguments *arguments,
                          const struct build_result *result)
{
  const char *source = arguments->source ? arguments->source : arguments->definition;

  if (arguments->options.thin)
    printf ("%s: thin clone of %s (%.3f s)\n", name, source, result->seconds);
  else
    printf ("%s: %s%s%s (%" PRIu64 " files, %.2f s)\n", name,
            strcmp (arguments->method, "clone") == 0 ? "cloned" : arguments->method,
            source ? " from " : "", source ? source : "", result->counts.files, result->seconds);
  if (result->aside)
    printf ("%s: the guest that it replaces is kept in %s\n", name, result->aside);
}

/* Prints what came of each guest. Returns how many failed. */
static size_t report (const struct context *context, const struct build_arguments *arguments,
                      const struct names *names, const struct build_result *results)
{
  autojson json_object *object = json_object_new_object ();
  json_object *list = json_object_new_array ();
  size_t failed = 0;
  uint64_t copied = 0;

  json_object_object_add (object, "guests", list);
  progress_clear ();
  for (size_t i = 0; i < names->count; i++) {
    copied += results[i].err.code ? 0 : results[i].counts.copied;
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
  if (copied && !context->quiet)
    print_error ("%" PRIu64 " files could not be linked to those of %s, and were copied: is it "
                 "another project of the file system's quotas, or a file system without links? "
                 "vhashify shares them again where it can",
                 copied, arguments->source ? arguments->source : "the source");
  if (context->json)
    print_json (object);
  return failed;
}

/* None of the names may be taken: known before anything is fetched. */
static int check_new (struct vroot *root, const struct names *names, struct err *err)
{
  for (size_t i = 0; i < names->count; i++)
    if (faccessat (root->guests_fd, names->items[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0)
      return 0;
  return err_code (err, EEXIST,
                   "the guest %s/guests/%s exists: choose another name, or say --force to move it "
                   "aside",
                   root->path, names->items[0]);
}

static int build (struct context *context, const struct build_arguments *arguments,
                  const struct names *names, struct err *err)
{
  autoroot struct vroot *root = NULL;
  autoimport struct import import = IMPORT_INIT;
  autobuildsource struct build_source source = {0};

  /* The source is locked from here on, and may be one that is replaced. */
  if (context_open_root (context, /* write= */ true, &root, err) < 0 ||
      (arguments->options.force && live_recover_all (root, names, err) < 0) ||
      (arguments->object && !arguments->options.force && check_new (root, names, err) < 0) ||
      build_method_open (context, root, arguments, &import, &source, err) < 0)
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
  struct build_arguments arguments = {.options = {.policy = &policy}};
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
  build_arguments_release (&arguments);
  return ret;
}
