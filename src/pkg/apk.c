/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for apk: command lines. apk_output.c and apk_installed.c understand what it prints and
 * writes.
 *
 * Written from the manual pages and sources of apk-tools 2.10 to 2.14 and 3.0; tested against
 * recorded output only. So it uses no option that one of them has not (--no-interactive and
 * --cache-packages are 3.x; without a terminal nothing is asked anyway).
 *
 * Metadata older than 4 hours apk fetches by itself, but not for a simulation: it is fetched before
 * upgrade, add and fix, once for all guests of the same state. Packages are named in its cache by a
 * part of their checksum, there is no list of addresses with hashes, and the cache is one directory
 * with the metadata: each guest downloads its packages itself. */
#include "apk.h"
#include "words.h"

enum {
  READ_ONLY = 1,
  REFRESH = 2,
  FETCHES = 4, /* wants metadata, and fresh */
  PLANS = 8,
  IDLE = 16,
  REPAIRS = 32,
};

static const struct {
  const char *name;
  unsigned flags;
} verbs[] = {
    {"update", REFRESH},
    {"upgrade", FETCHES | PLANS | IDLE},
    {"add", FETCHES | PLANS},
    {"fix", FETCHES | PLANS | REPAIRS},
    {"del", PLANS},
    {"info", READ_ONLY},
    {"list", READ_ONLY},
    {"search", READ_ONLY},
    {"policy", READ_ONLY},
    {"dot", READ_ONLY},
    {"stats", READ_ONLY},
    {"version", READ_ONLY},
    {"audit", READ_ONLY},
    {"verify", READ_ONLY},
    {"manifest", READ_ONLY},
    {"query", READ_ONLY},
    {"adbdump", READ_ONLY},
    {"help", READ_ONLY},
    {NULL, 0},
};

/* Options whose argument is the next word. */
static const char *const with_argument[] = {
    "--arch",
    "--cache-dir",
    "--cache-max-age",
    "--keys-dir",
    "--progress-fd",
    "--root",
    "--repositories-file",
    "--repository",
    "--repository-config",
    "--timeout",
    "--wait",
    "--virtual",
    "--output",
    "--compression",
    "--sign-key",
    "--format",
    "--fields",
    "--protected-paths",
    "--uvol-manager",
    NULL,
};

static const char *const telling[] = {
    "--simulate", "--help", "--version", "--print-arch", NULL,
};

static const char *const updating[] = {"--update-cache", "--update", NULL};

static const struct pkg_grammar grammar = {"apk", "pXtoc", with_argument};

static void add_word (void *data, enum pkg_word kind, const char *text, size_t number)
{
  struct pkg_request *request = data;

  if (kind == PKG_WORD_LETTER) {
    request->read_only |= strchr ("shV", *text) != NULL;
    request->refresh_first |= *text == 'U';
  } else if (kind == PKG_WORD_LONG) {
    request->read_only |= pkg_in_list (text, telling);
    request->refresh_first |= pkg_in_list (text, updating);
  } else if (!*request->verb) {
    request->verb = request->args.items[number];
  }
}

static int classify (const struct names *args, struct pkg_request *ret_request, struct err *err)
{
  autopkgrequest struct pkg_request request = {.verb = ""};
  unsigned flags = 0;

  if (!args->count)
    return err_code (err, ERR_USAGE, "the arguments of apk are expected after --");
  pkg_add_names (&request.args, args);
  if (pkg_words_read (args, &grammar, add_word, &request, err) < 0)
    return -err->code;
  for (size_t i = 0; verbs[i].name; i++)
    if (strcmp (verbs[i].name, request.verb) == 0)
      flags = verbs[i].flags;
  request.read_only |= (flags & READ_ONLY) || !*request.verb;
  request.refresh = (flags & REFRESH) != 0;
  request.needs_lists = (flags & FETCHES) != 0;
  request.refresh_first |= (flags & FETCHES) != 0;
  request.plans = (flags & PLANS) != 0;
  request.idle = (flags & IDLE) != 0;
  request.repairs = (flags & REPAIRS) != 0;
  request.may_do_nothing = (flags & PLANS) != 0;
  *ret_request = request;
  request = (struct pkg_request){0};
  return 0;
}

static const char *const neutral_verbs[PKG_VERBS][2] = {
    [PKG_VERB_REFRESH] = {"update"},
    [PKG_VERB_UPGRADE] = {"upgrade"},
    [PKG_VERB_INSTALL] = {"add"},
    [PKG_VERB_REMOVE] = {"del"},
    [PKG_VERB_LIST_UPGRADES] = {"upgrade"},
    [PKG_VERB_SEARCH] = {"search"},
    [PKG_VERB_VERIFY] = {"audit", "--system"},
};

static int neutral (enum pkg_verb verb, const struct names *args, struct pkg_request *ret_request,
                    struct err *err)
{
  autonames struct names words = {0};

  for (size_t i = 0; i < 2 && neutral_verbs[verb][i]; i++)
    names_add (&words, neutral_verbs[verb][i]);
  if (args->count)
    names_add (&words, "--");
  pkg_add_names (&words, args);
  return classify (&words, ret_request, err);
}

/* The user's words; where metadata has been fetched before, without what would fetch it again. */
static void add_request (const struct pkg_request *request, struct names *ret_args)
{
  if (request->refresh_first)
    pkg_words_copy_without (&request->args, &grammar, 'U', updating, ret_args);
  else
    pkg_add_names (ret_args, &request->args);
}

static void add_apk (const struct pkg_target *target, struct names *ret_args)
{
  static const char *const options[] = {"--no-progress", "--wait", "60", NULL};

  names_add (ret_args, target->program);
  pkg_add_words (ret_args, options);
}

static bool command (enum pkg_step step, const struct pkg_request *request,
                     const struct pkg_target *target, struct names *ret_args)
{
  switch (step) {
  case PKG_AUDIT:
  case PKG_VERIFY:
    /* It must open its database for this, and no repository. */
    add_apk (target, ret_args);
    names_add (ret_args, "--no-network");
    names_add (ret_args, "info");
    return true;
  case PKG_REFRESH:
    add_apk (target, ret_args);
    names_add (ret_args, "update");
    return true;
  case PKG_PLAN:
    if (!request->plans)
      return false;
    add_apk (target, ret_args);
    names_add (ret_args, "--simulate");
    add_request (request, ret_args);
    return true;
  case PKG_APPLY:
    add_apk (target, ret_args);
    add_request (request, ret_args);
    return true;
  default:
    return false;
  }
}

static const char *const programs[] = {"apk", NULL};

static const char *const environment[] = {"LC_ALL=C.UTF-8", NULL};

static const char *const conffile_suffixes[] = {".apk-new", NULL};

static const char *const state_paths[] = {
    "bin",        "sbin",      "lib",     "lib64",      "usr",           "etc/apk",
    "etc/passwd", "etc/group", "etc/ssl", "etc/ssl1.1", "var/cache/apk", NULL,
};

static const char *const source_paths[] = {"etc/apk", "lib/apk/repositories.d", "lib/apk/keys",
                                           NULL};

const struct pkg_driver pkg_apk = {
    .name = "apk",
    .programs = programs,
    .database = "lib/apk/db/installed",
    .environment = environment,
    .conffile_suffixes = conffile_suffixes,
    .state_paths = state_paths,
    .source_paths = source_paths,
    .lists_dir = "var/cache/apk",
    .list_suffix = "APKINDEX.",
    .keep_lists = true,
    .classify = classify,
    .neutral = neutral,
    .command = command,
    .line = apk_line,
    .units_per_change = 1,
    .parse_plan = apk_parse_plan,
    .read_installed = apk_installed_read,
};
