/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for zypper: command lines. zypper_output.c understands what it prints.
 *
 * It is not interactive: an unknown key, a license to agree to, a problem with several solutions
 * end it, unless the user's own options say how. Repositories are refreshed by refresh alone, not
 * by each command. */
#include "zypper.h"
#include "rpm.h"
#include "verbs.h"
#include "words.h"

/* Options before the verb whose argument is the next word. The same letters mean other things
 * behind it, where nothing is looked for but options that have no argument. */
static const char *const with_argument[] = {
    "--cache-dir",    "--config",    "--installroot",    "--pkg-cache-dir",
    "--plus-content", "--plus-repo", "--raw-cache-dir",  "--releasever",
    "--reposd-dir",   "--root",      "--solv-cache-dir", "--table-style",
    "--userdata",     NULL,
};
static const char letters_with_argument[] = "CDRcps";
static const struct pkg_grammar before_verb = {"zypper", letters_with_argument, with_argument};

static const char *const none[] = {NULL};
static const struct pkg_grammar behind_verb = {"zypper", "", none};

enum {
  CHANGES = PKG_DOES_NEED_LISTS | PKG_DOES_MAYBE_NOTHING | PKG_DOES_PLAN,
  UPGRADES = CHANGES | PKG_DOES_IDLE,
  REMOVES = PKG_DOES_MAYBE_NOTHING | PKG_DOES_PLAN,
  ASKS = PKG_DOES_READ | PKG_DOES_NEED_LISTS,
};

static const struct pkg_verb_entry verbs[] = {
    {"refresh", PKG_DOES_REFRESH},
    {"ref", PKG_DOES_REFRESH},
    {"update", UPGRADES},
    {"up", UPGRADES},
    {"patch", UPGRADES},
    {"dist-upgrade", UPGRADES},
    {"dup", UPGRADES},
    {"install", CHANGES},
    {"in", CHANGES},
    {"install-new-recommends", CHANGES},
    {"inr", CHANGES},
    {"verify", CHANGES},
    {"ve", CHANGES},
    {"remove", REMOVES},
    {"rm", REMOVES},
    {"autoremove", REMOVES},
    {"purge-kernels", REMOVES},
    {"source-install", PKG_DOES_NEED_LISTS},
    {"si", PKG_DOES_NEED_LISTS},
    {"download", PKG_DOES_NEED_LISTS},
    {"source-download", PKG_DOES_NEED_LISTS},
    {"list-updates", ASKS},
    {"lu", ASKS},
    {"list-patches", ASKS},
    {"lp", ASKS},
    {"patch-check", ASKS},
    {"pchk", ASKS},
    {"search", ASKS},
    {"se", ASKS},
    {"info", ASKS},
    {"if", ASKS},
    {"patch-info", ASKS},
    {"pattern-info", ASKS},
    {"product-info", ASKS},
    {"patches", ASKS},
    {"pch", ASKS},
    {"packages", ASKS},
    {"pa", ASKS},
    {"patterns", ASKS},
    {"pt", ASKS},
    {"products", ASKS},
    {"pd", ASKS},
    {"what-provides", ASKS},
    {"wp", ASKS},
    {"repos", PKG_DOES_READ},
    {"lr", PKG_DOES_READ},
    {"services", PKG_DOES_READ},
    {"ls", PKG_DOES_READ},
    {"locks", PKG_DOES_READ},
    {"ll", PKG_DOES_READ},
    {"locales", PKG_DOES_READ},
    {"lloc", PKG_DOES_READ},
    {"versioncmp", PKG_DOES_READ},
    {"vcmp", PKG_DOES_READ},
    {"targetos", PKG_DOES_READ},
    {"tos", PKG_DOES_READ},
    {"system-architecture", PKG_DOES_READ},
    {"licenses", PKG_DOES_READ},
    {"needs-rebooting", PKG_DOES_READ},
    {"ps", PKG_DOES_READ},
    {"subcommand", PKG_DOES_READ},
    {"help", PKG_DOES_READ},
    {"?", PKG_DOES_READ},
    {NULL, 0},
};

/* Where the verb is among the words; their number when there is none. */
static size_t find_verb (const struct names *args)
{
  size_t i = 0;

  for (; i < args->count && args->items[i][0] == '-'; i++) {
    const char *word = args->items[i];
    const char *letter = word + 1 + strcspn (word + 1, letters_with_argument);

    if (word[1] == '-' ? pkg_in_list (word, with_argument) : *letter && !letter[1])
      i++;
  }
  return i < args->count ? i : args->count;
}

static void look_before (void *data, enum pkg_word type, const char *text, size_t number)
{
  struct pkg_request *request = data;

  (void) number;
  if (type == PKG_WORD_LETTER)
    request->read_only |= *text == 'h' || *text == 'V';
  else if (type == PKG_WORD_LONG)
    request->read_only |= strcmp (text, "--help") == 0 || strcmp (text, "--version") == 0;
  if (type == PKG_WORD_LONG && strcmp (text, "--no-refresh") == 0)
    request->needs_lists = false;
}

/* What options behind the verb make of a request. */
struct kind {
  bool help;
  bool dry_run;
  bool downloads;
};

static void look_behind (void *data, enum pkg_word type, const char *text, size_t number)
{
  struct kind *kind = data;

  (void) number;
  if (type == PKG_WORD_LETTER) {
    kind->help |= *text == 'h';
    kind->dry_run |= *text == 'D';
    kind->downloads |= *text == 'd';
  } else if (type == PKG_WORD_LONG) {
    kind->help |= strcmp (text, "--help") == 0;
    kind->dry_run |= strcmp (text, "--dry-run") == 0;
    kind->downloads |= strcmp (text, "--download-only") == 0;
  }
}

static int read_words (struct pkg_request *request, struct err *err)
{
  const struct names *args = &request->args;
  size_t verb = find_verb (args);
  const struct names before = {args->items, verb};
  const struct names behind = {args->items + verb, args->count - verb};
  struct kind kind = {0};

  if (behind.count)
    request->verb = behind.items[0];
  pkg_request_add_flags (request, pkg_verb_flags (verbs, request->verb, NULL));
  if (pkg_words_read (&before, &before_verb, look_before, request, err) < 0 ||
      pkg_words_read (&behind, &behind_verb, look_behind, &kind, err) < 0)
    return -err->code;
  request->read_only |= !*request->verb || kind.help || (kind.dry_run && request->plans);
  request->refresh_first = request->needs_lists;
  if (request->read_only || kind.downloads)
    request->plans = request->may_do_nothing = request->idle = false;
  return 0;
}

static int classify (const struct names *args, struct pkg_request *ret_request, struct err *err)
{
  autopkgrequest struct pkg_request request = {.verb = ""};

  if (!args->count)
    return err_code (err, ERR_USAGE, "the arguments of zypper are expected after --");
  pkg_add_names (&request.args, args);
  if (read_words (&request, err) < 0)
    return -err->code;
  *ret_request = request;
  request = (struct pkg_request){0};
  return 0;
}

static int neutral (enum pkg_verb verb, const struct names *args, struct pkg_request *ret_request,
                    struct err *err)
{
  static const char *const words[PKG_VERBS] = {
      [PKG_VERB_REFRESH] = "refresh",      [PKG_VERB_UPGRADE] = "update",
      [PKG_VERB_INSTALL] = "install",      [PKG_VERB_REMOVE] = "remove",
      [PKG_VERB_LIST_UPGRADES] = "update", [PKG_VERB_SEARCH] = "search",
  };
  autonames struct names all = {0};

  if (verb == PKG_VERB_VERIFY) {
    rpm_verify_request (args, ret_request);
    return 0;
  }
  names_add (&all, words[verb]);
  pkg_add_names (&all, args);
  return classify (&all, ret_request, err);
}

static void add_zypper (const struct pkg_target *target, bool refreshes, struct names *ret_args)
{
  names_add (ret_args, target->program);
  names_add (ret_args, "--non-interactive");
  if (!refreshes)
    names_add (ret_args, "--no-refresh");
}

/* The request with an option right behind its verb, where zypper wants it, and without what would
 * make it silent. */
static void add_with_option (const struct pkg_request *request, const char *option,
                             struct names *ret_args)
{
  for (size_t i = 0; i < request->args.count; i++) {
    const char *word = request->args.items[i];

    if (strcmp (word, "-q") != 0 && strcmp (word, "--quiet") != 0)
      names_add (ret_args, word);
    if (word == request->verb)
      names_add (ret_args, option);
  }
}

static bool command (enum pkg_step step, const struct pkg_request *request,
                     const struct pkg_target *target, struct names *ret_args)
{
  switch (step) {
  case PKG_REFRESH:
    add_zypper (target, /* refreshes= */ true, ret_args);
    names_add (ret_args, "refresh");
    return true;
  case PKG_PLAN:
    if (!request->plans)
      return false;
    add_zypper (target, /* refreshes= */ false, ret_args);
    names_add (ret_args, "--xmlout");
    add_with_option (request, "--dry-run", ret_args);
    return true;
  case PKG_DOWNLOAD:
    if (!request->plans || !request->needs_lists)
      return false;
    add_zypper (target, /* refreshes= */ false, ret_args);
    add_with_option (request, "--download-only", ret_args);
    return true;
  case PKG_APPLY:
    if (request->program)
      names_add (ret_args, request->program);
    else
      add_zypper (target, request->refresh || request->read_only, ret_args);
    pkg_add_names (ret_args, &request->args);
    return true;
  default:
    return rpm_database_command (step, ret_args);
  }
}

/* The exit statuses of zypper(8): those from 100 on are information, but for these. */
enum {
  ZYPPER_LOCKED = 7,
  ZYPPER_UPDATES = 100,          /* patch-check found some */
  ZYPPER_SECURITY_UPDATES = 101, /* of security */
  ZYPPER_REBOOT = 102,           /* done, and wants a reboot */
  ZYPPER_AGAIN = 103,            /* done with itself only: run once more */
  ZYPPER_NOT_FOUND = 104,        /* one of the arguments */
  ZYPPER_SKIPPED = 106,          /* a repository, as it could not be refreshed */
};

static bool is_removal (const struct pkg_request *request)
{
  return strcmp (request->verb, "rm") == 0 || strcmp (request->verb, "remove") == 0;
}

static enum pkg_meaning meaning (enum pkg_step step, const struct pkg_request *request, int status,
                                 const char *output)
{
  (void) output;
  if (step == PKG_AUDIT || step == PKG_VERIFY || step == PKG_INSTALLED || request->program)
    return status ? PKG_FAILED : PKG_OK;
  switch (status) {
  case 0:
  case ZYPPER_UPDATES:
  case ZYPPER_SECURITY_UPDATES:
  case ZYPPER_REBOOT:
    return PKG_OK;
  case ZYPPER_AGAIN:
    return step == PKG_APPLY && !request->read_only ? PKG_AGAIN : PKG_OK;
  case ZYPPER_NOT_FOUND:
    /* What is to be removed and is not there is no failure, the others were removed. */
    return is_removal (request) ? PKG_OK : request->read_only ? PKG_NOTHING : PKG_FAILED;
  case ZYPPER_LOCKED:
    return PKG_BUSY;
  case ZYPPER_SKIPPED:
    return PKG_NETWORK;
  default:
    return PKG_FAILED;
  }
}

static const char *const programs[] = {"zypper", NULL};

static const char *const environment[] = {"LC_ALL=C.UTF-8", "ZYPP_LOCK_TIMEOUT=60", NULL};

static const char *const state_paths[] = {
    RPM_STATE_PATHS, "etc/products.d", "etc/zypp", "etc/SUSEConnect", "var/lib/zypp", NULL,
};

static const char *const source_paths[] = {"etc/products.d", "etc/zypp", NULL};

static const char *const database_paths[] = {RPM_DATABASE_PATHS, "var/lib/zypp", NULL};

const struct pkg_driver pkg_zypper = {
    .name = "zypper",
    .programs = programs,
    .database = "var/lib/rpm",
    .environment = environment,
    .conffile_suffixes = rpm_conffile_suffixes,
    .state_paths = state_paths,
    .source_paths = source_paths,
    .database_paths = database_paths,
    .lists_dir = "var/cache/zypp",
    .list_suffix = "raw",
    .cache_dir = "var/cache/zypp",
    .cache_suffix = ".rpm",
    .write_paths = rpm_write_paths,
    .classify = classify,
    .neutral = neutral,
    .command = command,
    .meaning = meaning,
    .line = zypper_line,
    .units_per_change = 1,
    .parse_plan = zypper_parse_plan,
    .explain = zypper_explain,
    .parse_installed = rpm_parse_installed,
};
