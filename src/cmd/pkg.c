/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkg.h"
#include "fanout.h"
#include "guest/history.h"
#include "util/fd.h"
#include "util/interrupt.h"

enum { SELECTIONS_MAX = 16 << 20, RETRIES = 3, DAY = 86400 };

static const char usage_text[] =
    "Run a package manager in the guests that SELECTION names (names, globs, bracket ranges), "
    "several\n"
    "at a time. A stopped guest is changed by a transaction: on failure it is as before, and the "
    "others\n"
    "go on. A running guest is changed as if it was typed there; with --offline it is stopped, "
    "changed\n"
    "in a transaction and started again, and is as before when it does not come up. Metadata and\n"
    "packages are fetched once for all. Questions are not asked; changed configuration files "
    "keep the\n"
    "guest's version. Requests that change nothing print what each guest's manager says.\n\n"
    "Exit status: 0 all done, 1 error, 2 usage, 3 some guests failed, 4 nothing to do, 7 locked, "
    "100\n"
    "--check and there are upgrades, 130 interrupted.\n";

/* The programs, by the names that they are called by. */
static const struct {
  const char *name;    /* "vapt-get" */
  const char *driver;  /* NULL: vpkg */
  const char *program; /* in the guest */
} programs[] = {
    {"vapt-get", "apt", "apt-get"},  {"vdnf", "dnf", "dnf"},
    {"vyum", "dnf", "yum"},          {"vrpm", "rpm", "rpm"},
    {"vzypper", "zypper", "zypper"}, {"vpacman", "pacman", "pacman"},
    {"vapk", "apk", "apk"},          {"vpkg", NULL, NULL},
};

static const char *const verbs[PKG_VERBS + 2] = {
    [PKG_VERB_REFRESH] = "refresh",
    [PKG_VERB_UPGRADE] = "upgrade",
    [PKG_VERB_INSTALL] = "install",
    [PKG_VERB_REMOVE] = "remove",
    [PKG_VERB_LIST_UPGRADES] = "list-upgrades",
    [PKG_VERB_SEARCH] = "search",
    [PKG_VERB_VERIFY] = "verify",
    [PKG_VERBS] = "conffiles",
};

/* What is given to options as text. */
struct texts {
  const char *jobs;
  const char *canary;
  const char *max_fail;
  const char *timeout;
  const char *retries;
  const char *selections;
  char *selections_text; /* owned */
  bool refresh;
  bool no_refresh;
};

int pkg_call_request (void *data, const struct pkg_driver *driver, struct pkg_request *ret_request,
                      struct err *err)
{
  const struct pkg_call *call = data;

  if (!call->driver)
    return driver->neutral (call->verb, &call->args, ret_request, err);
  return driver->classify (&call->args, ret_request, err);
}

static int parse_number (const char *text, const char *option, unsigned maximum,
                         unsigned *ret_number, struct err *err)
{
  char *end;

  if (!text)
    return 0;
  unsigned long number = strtoul (text, &end, 10);
  if (*text < '0' || *text > '9' || *end || number > maximum)
    return err_code (err, ERR_USAGE, "bad %s \"%s\": a number from 0 to %u is expected", option,
                     text, maximum);
  *ret_number = (unsigned) number;
  return 0;
}

/* N or N%. */
static int parse_max_fail (const char *text, struct bulk_options *options, struct err *err)
{
  size_t len = text ? strlen (text) : 0;
  bool percent = len > 1 && text[len - 1] == '%';
  autofree char *number = text ? xstrndup (text, len - percent) : NULL;

  options->max_fail_percent = percent;
  if (parse_number (number, "--max-fail", percent ? 100 : 1000000, &options->max_fail, err) < 0)
    return -err->code;
  if (text && !options->max_fail)
    return err_code (err, ERR_USAGE, "bad --max-fail \"%s\": at least 1 is expected", text);
  return 0;
}

/* A number of guests, or names of them. */
static int parse_canary (const char *text, const struct names *names, struct bulk_options *options,
                         struct err *err)
{
  if (!text)
    return 0;
  if (*text && strspn (text, "0123456789") == strlen (text) && !names_has (names, text))
    return parse_number (text, "--canary", 1000000, &options->canary_count, err);
  if (names_expand (text, &options->canary, err) < 0)
    return err_wrap (err, "--canary");
  for (size_t i = 0; i < options->canary.count; i++)
    if (!names_has (names, options->canary.items[i]))
      return err_code (err, ERR_USAGE, "--canary: the guest %s is not among those selected",
                       options->canary.items[i]);
  return 0;
}

static int read_selections (struct texts *texts, struct bulk_options *options, struct err *err)
{
  if (!texts->selections)
    return 0;
  if (fd_read_file (AT_FDCWD, texts->selections, SELECTIONS_MAX, &texts->selections_text, NULL,
                    err) < 0)
    return err_wrap (err, "--debconf-selections");
  options->selections = texts->selections_text;
  return 0;
}

static int parse_texts (struct texts *texts, struct pkg_call *call, struct err *err)
{
  struct bulk_options *options = &call->options;

  options->retries = RETRIES;
  if (parse_jobs (texts->jobs, cpu_count (), &options->jobs, err) < 0 ||
      parse_max_fail (texts->max_fail, options, err) < 0 ||
      parse_number (texts->timeout, "--timeout", 7 * DAY, &options->timeout, err) < 0 ||
      parse_number (texts->retries, "--retries", 20, &options->retries, err) < 0 ||
      read_selections (texts, options, err) < 0)
    return -err->code;
  if (texts->refresh && texts->no_refresh)
    return err_code (err, ERR_USAGE, "--refresh and --no-refresh exclude one another");
  options->refresh = texts->refresh      ? BULK_REFRESH_ALWAYS
                     : texts->no_refresh ? BULK_REFRESH_NEVER
                                         : BULK_REFRESH_IF_NONE;
  return 0;
}

/* vpkg VERB [ARG…] behind "--". */
static int find_verb (struct pkg_call *call, struct err *err)
{
  size_t verb = 0;

  while (verb < PKG_VERBS + 1 && strcmp (call->args.items[0], verbs[verb]) != 0)
    verb++;
  if (verb > PKG_VERBS) {
    const char *near = nearest_word (call->args.items[0], verbs);

    return err_code (err, ERR_USAGE, "unknown verb \"%s\"%s%s%s; see --help", call->args.items[0],
                     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
  }
  call->verb = (enum pkg_verb) verb;
  free (call->args.items[0]);
  memmove (call->args.items, call->args.items + 1, --call->args.count * sizeof call->args.items[0]);
  if (call->verb == PKG_VERB_LIST_UPGRADES)
    call->options.check = true;
  return 0;
}

/* The request as the driver sees it says whether it only asks. vpkg's verbs say so themselves. */
static int look_at_request (struct pkg_call *call, struct err *err)
{
  autopkgrequest struct pkg_request request = {0};

  if (!call->driver) {
    call->read_only = call->verb == PKG_VERB_SEARCH || call->verb == PKG_VERB_VERIFY;
    return 0;
  }
  if (call->driver->classify (&call->args, &request, err) < 0)
    return -err->code;
  call->read_only = request.read_only;
  return 0;
}

static char *join_words (const char *first, const struct names *words)
{
  autofree const char **args = xcalloc (words->count + 1, sizeof *args);

  for (size_t i = 0; i < words->count; i++)
    args[i] = words->items[i];
  return history_what (first, args);
}

static int conclude (const struct pkg_call *call, const struct bulk_report *report, struct err *err)
{
  size_t pending = 0;

  for (size_t i = 0; i < report->count; i++)
    pending += report->rows[i].outcome == BULK_PENDING;
  bool may_do_nothing = !call->options.check;
  if (bulk_conclude (report, may_do_nothing, err) < 0)
    return -err->code;
  return pending ? 100 : 0;
}

static int run_bulk (struct pkg_call *call, struct vroot *root, struct err *err)
{
  autobulkreport struct bulk_report report = {0};
  struct pkg_screen *screen = NULL;
  autoerr struct err json_err = {0};

  call->options.driver = call->driver;
  call->options.program = call->program;
  call->options.make_request = pkg_call_request;
  call->options.request_data = call;
  call->options.title = call->title;
  pkg_screen_open (call, &screen);
  int ret = bulk_run (root, &call->names, &call->options, &report, err);
  pkg_screen_free (screen);
  bool json = call->context->json || call->json_file;
  int written = json ? pkg_write_json (call->json_file, &report, &json_err) : 0;
  if (!call->context->json && !call->context->quiet && !call->options.check)
    pkg_print_report (&report);
  warn_of_disk_limits (root, &call->names);
  if (ret < 0)
    return ret;
  ret = conclude (call, &report, err);
  return written < 0 && ret == 0 ? err_code (err, json_err.code, "%s", err_text (&json_err)) : ret;
}

static int run (struct pkg_call *call, struct selecting *selecting, const struct texts *texts,
                struct err *err)
{
  autoroot struct vroot *root = NULL;

  interrupt_install ();
  if (context_open_root (call->context, /* write= */ true, &root, err) < 0 ||
      selecting_resolve (root, selecting, &call->names, err) < 0 ||
      parse_canary (texts->canary, &call->names, &call->options, err) < 0)
    return -err->code;
  if (!call->driver && call->verb == PKG_VERBS)
    return pkg_conffiles (call, err);
  return call->read_only ? pkg_query (call, err) : run_bulk (call, root, err);
}

static void find_program (struct pkg_call *call)
{
  for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
    if (strcmp (programs[i].name, call->context->program) == 0 && programs[i].driver) {
      call->driver = pkg_driver_find (programs[i].driver);
      call->program = programs[i].program;
    }
}

static int take_words (struct pkg_call *call, int argc, char **argv, int first, int dashes,
                       struct selecting *selecting, struct err *err)
{
  if (dashes == argc && (argc < 2 || strcmp (argv[argc - 1], "--") != 0))
    return err_code (err, ERR_USAGE, "\"-- ARG…\" is expected behind the selection; see --help");
  for (int i = first; i < dashes - 1; i++)
    names_add (&selecting->selection.patterns, argv[i]);
  for (int i = dashes; i < argc; i++)
    names_add (&call->args, argv[i]);
  if (!selecting_given (selecting) && !selecting->selection.patterns.count)
    return err_code (err, ERR_USAGE, "no guest is named, and --all is not given");
  call->title = join_words (call->program ? call->program : "vpkg", &call->args);
  if (!call->args.count)
    return err_code (err, ERR_USAGE, "the arguments of %s are expected after --",
                     call->program ? call->program : "vpkg: refresh, upgrade, …");
  if (!call->driver && find_verb (call, err) < 0)
    return -err->code;
  return look_at_request (call, err);
}

/* --json=FILE: the table goes to stdout then. */
static void take_json (struct pkg_call *call)
{
  call->json_file = call->context->json_file;
  if (call->json_file && strcmp (call->json_file, "-") == 0)
    call->json_file = NULL;
  if (call->json_file)
    call->context->json = false;
}

int cmd_pkg (struct context *context, int argc, char **argv, struct err *err)
{
  autoselecting struct selecting selecting = {0};
  struct pkg_call call = {.context = context};
  struct texts texts = {0};
  const struct option_spec specs[] = {
      SELECTING_OPTIONS (&selecting),
      {"check", 0, NULL, "tell what would change, and stop; status 100 then", &call.options.check,
       NULL, NULL},
      {"refresh", 0, NULL, "fetch the metadata of repositories first", &texts.refresh, NULL, NULL},
      {"no-refresh", 0, NULL, "do not, even in a guest that has none", &texts.no_refresh, NULL,
       NULL},
      {"jobs", 'j', "N", "so many guests at once", NULL, &texts.jobs, NULL},
      {"canary", 0, "NAMES|N", "these first; when one fails, no others", NULL, &texts.canary, NULL},
      {"max-fail", 0, "N|P%", "begin no more behind so many failures", NULL, &texts.max_fail, NULL},
      {"timeout", 0, "SECONDS", "a guest that takes longer has failed", NULL, &texts.timeout, NULL},
      {"retries", 0, "N", "of network errors and locks in guests (3)", NULL, &texts.retries, NULL},
      {"offline", 0, NULL, "stop running guests for it, and start them again",
       &call.options.offline, NULL, NULL},
      {"keep-failed", 0, NULL, "keep what was done in one that failed for a look",
       &call.options.keep_failed, NULL, NULL},
      {"debconf-selections", 0, "FILE", "answers for questions of packages", NULL,
       &texts.selections, NULL},
      {"no-prefix", 0, NULL, "queries: output as it is, without names", &call.no_prefix, NULL,
       NULL},
      {"group", 0, NULL, "queries: equal outputs once, at the end", &call.group, NULL, NULL},
      {"verbose", 'v', NULL, "show the output as it comes", &call.verbose, NULL, NULL},
      {NULL, 0, NULL, NULL, NULL, NULL, NULL},
  };
  autofree char *usage = NULL;
  int first = 0, dashes = 0, ret;

  context->takes_json_file = true;
  find_program (&call);
  usage = xasprintf ("Usage: %s [OPTION…] SELECTION… -- %s\n%s", context->program,
                     call.driver ? "ARG…" : "VERB [ARG…]", usage_text);
  ret = options_parse (context, specs, /* stop_early= */ false, usage, argc, argv, &first, &dashes,
                       err);
  if (ret == 0)
    take_json (&call);
  if (ret == 0)
    ret = take_words (&call, argc, argv, first, dashes, &selecting, err);
  if (ret == 0)
    ret = parse_texts (&texts, &call, err);
  if (ret == 0)
    ret = run (&call, &selecting, &texts, err);
  names_release (&call.args);
  names_release (&call.names);
  names_release (&call.options.canary);
  free (call.title);
  free (texts.selections_text);
  return ret;
}
