/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for apt: command lines. apt_output.c understands what they print.
 *
 * Questions are never asked: debconf's noninteractive frontend, the guest's own version of a
 * changed configuration file is kept. apt's package caches are switched off, as they take 78 MB in
 * each guest and differ from run to run. Phased updates depend on an id: all guests of one state
 * root get the same one, so that they get the same upgrades. */
#include "apt.h"
#include "dpkg_status.h"

/* Options of apt-get(8) whose argument is the next word. */
static const char *const with_argument[] = {
    "-o",
    "-c",
    "-t",
    "-a",
    "-P",
    "--option",
    "--config-file",
    "--target-release",
    "--default-release",
    "--host-architecture",
    "--build-profiles",
    "--solver",
    "--planner",
    NULL,
};

static const char *const simulating[] = {
    "--simulate",   "--just-print", "--dry-run", "--recon", "--no-act",
    "--print-uris", "--version",    "--help",    NULL,
};

enum { READ_ONLY = 1, NEEDS_LISTS = 2, MAY_DO_NOTHING = 4, REFRESH = 8, PLANS = 16, IDLE = 32 };

static const struct {
  const char *name;
  unsigned flags;
} verbs[] = {
    {"update", REFRESH},
    {"upgrade", NEEDS_LISTS | MAY_DO_NOTHING | PLANS | IDLE},
    {"dist-upgrade", NEEDS_LISTS | MAY_DO_NOTHING | PLANS | IDLE},
    {"full-upgrade", NEEDS_LISTS | MAY_DO_NOTHING | PLANS | IDLE},
    {"install", NEEDS_LISTS | MAY_DO_NOTHING | PLANS},
    {"reinstall", NEEDS_LISTS | PLANS},
    {"build-dep", NEEDS_LISTS | MAY_DO_NOTHING | PLANS},
    {"satisfy", NEEDS_LISTS | MAY_DO_NOTHING | PLANS},
    {"source", NEEDS_LISTS},
    {"download", NEEDS_LISTS},
    {"remove", MAY_DO_NOTHING | PLANS},
    {"purge", MAY_DO_NOTHING | PLANS},
    {"autoremove", MAY_DO_NOTHING | PLANS | IDLE},
    {"autopurge", MAY_DO_NOTHING | PLANS | IDLE},
    {"check", READ_ONLY},
    {"changelog", READ_ONLY},
    {"indextargets", READ_ONLY},
    {"help", READ_ONLY},
    {"moo", READ_ONLY},
    {"show", READ_ONLY},
    {"list", READ_ONLY},
    {"search", READ_ONLY},
    {"policy", READ_ONLY},
    {"depends", READ_ONLY},
    {"rdepends", READ_ONLY},
    {NULL, 0},
};

/* Short options may stand together: "-yqs". The argument of one ends the word, or is the next. */
static bool short_options (const char *word, struct pkg_request *request)
{
  for (const char *p = word + 1; *p; p++) {
    if (strchr ("octaP", *p))
      return !p[1];
    if (*p == 's' || *p == 'v' || *p == 'h')
      request->read_only = true;
    if (*p == 'f')
      request->repairs = true;
  }
  return false;
}

static int read_words (const struct names *args, struct pkg_request *request, struct err *err)
{
  bool options_end = false;

  for (size_t i = 0; i < args->count; i++) {
    const char *word = args->items[i];
    bool takes_next = false;

    if (word[0] == '-' && word[1] && !options_end) {
      if (strcmp (word, "--") == 0)
        options_end = true;
      else if (word[1] == '-')
        takes_next = pkg_in_list (word, with_argument);
      else
        takes_next = short_options (word, request);
      request->read_only |= pkg_in_list (word, simulating);
      request->repairs |= strcmp (word, "--fix-broken") == 0;
      if (takes_next && ++i == args->count)
        return err_code (err, ERR_USAGE, "apt-get's option %s needs an argument", word);
    } else if (!*request->verb) {
      request->verb = request->args.items[i];
    }
  }
  return 0;
}

static int classify (const struct names *args, struct pkg_request *ret_request, struct err *err)
{
  autopkgrequest struct pkg_request request = {.verb = ""};

  if (!args->count)
    return err_code (err, ERR_USAGE, "the arguments of apt-get are expected after --");
  pkg_add_names (&request.args, args);
  if (read_words (args, &request, err) < 0)
    return -err->code;
  for (size_t i = 0; verbs[i].name; i++)
    if (strcmp (verbs[i].name, request.verb) == 0) {
      request.read_only |= (verbs[i].flags & READ_ONLY) != 0;
      request.refresh = (verbs[i].flags & REFRESH) != 0;
      request.needs_lists = (verbs[i].flags & NEEDS_LISTS) != 0;
      request.may_do_nothing = (verbs[i].flags & MAY_DO_NOTHING) != 0;
      request.plans = (verbs[i].flags & PLANS) != 0;
      request.idle = (verbs[i].flags & IDLE) != 0;
    }
  request.read_only |= !*request.verb;
  *ret_request = request;
  request = (struct pkg_request){0};
  return 0;
}

/* vpkg's verbs in apt's words; with a program of their own where it is not apt-get. */
static const struct {
  const char *program;
  const char *word;
} neutral_verbs[PKG_VERBS] = {
    [PKG_VERB_REFRESH] = {NULL, "update"},        [PKG_VERB_UPGRADE] = {NULL, "upgrade"},
    [PKG_VERB_INSTALL] = {NULL, "install"},       [PKG_VERB_REMOVE] = {NULL, "remove"},
    [PKG_VERB_LIST_UPGRADES] = {NULL, "upgrade"}, [PKG_VERB_SEARCH] = {"apt-cache", "search"},
    [PKG_VERB_VERIFY] = {"dpkg", "--verify"},
};

static int neutral (enum pkg_verb verb, const struct names *args, struct pkg_request *ret_request,
                    struct err *err)
{
  autonames struct names words = {0};

  names_add (&words, neutral_verbs[verb].word);
  if (verb == PKG_VERB_UPGRADE || verb == PKG_VERB_LIST_UPGRADES)
    names_add (&words, "--with-new-pkgs");
  if (neutral_verbs[verb].program && args->count)
    names_add (&words, "--");
  pkg_add_names (&words, args);
  if (!neutral_verbs[verb].program)
    return classify (&words, ret_request, err);
  *ret_request = (struct pkg_request){
      .args = words,
      .program = neutral_verbs[verb].program,
      .verb = words.items[0],
      .read_only = true,
  };
  words = (struct names){0};
  return 0;
}

static const char *const options[] = {
    "-y",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "Dir::Cache::srcpkgcache=",
    "-o",
    "DPkg::Lock::Timeout=60",
    "-o",
    "APT::Keep-Downloaded-Packages=false",
    NULL,
};

static void add_option (struct names *args, const char *option)
{
  names_add (args, "-o");
  names_add (args, option);
}

/* @request: NULL for what is not asked for by it. */
static void add_apt_get (enum pkg_step step, const struct pkg_request *request,
                         const struct pkg_target *target, struct names *ret_args)
{
  autofree char *id = xasprintf ("APT::Machine-ID=%s", target->machine_id);
  bool asks = step == PKG_PLAN || step == PKG_URIS;

  names_add (ret_args, target->program);
  pkg_add_words (ret_args, options);
  add_option (ret_args, id);
  /* The second question is answered by what the first one made of the lists. */
  if (!asks || !target->throwaway)
    add_option (ret_args, "Dir::Cache::pkgcache=");
  /* What changes packages has no use for translated descriptions, half of what the lists are. */
  if (request && request->plans)
    add_option (ret_args, "Acquire::Languages=none");
}

static bool command (enum pkg_step step, const struct pkg_request *request,
                     const struct pkg_target *target, struct names *ret_args)
{
  static const char *const audit[] = {"dpkg", "--audit", NULL};
  /* In a running guest a question leaves no log and no lock either. */
  static const char *const no_trace[] = {"-o", "Dir::Log::Planner=/dev/null", "-o",
                                         "Debug::NoLocking=true", NULL};
  /* Nobody reads the lists at once. */
  static const char *const update[] = {"-o", "pkgCacheFile::Generate=false", "--error-on=any",
                                       "update", NULL};

  switch (step) {
  case PKG_AUDIT:
  case PKG_VERIFY:
    pkg_add_words (ret_args, audit);
    return true;
  case PKG_REFRESH:
    add_apt_get (step, NULL, target, ret_args);
    pkg_add_words (ret_args, update);
    return true;
  case PKG_PLAN:
  case PKG_URIS:
    if (!request->plans)
      return false;
    add_apt_get (step, request, target, ret_args);
    pkg_add_words (ret_args, no_trace);
    /* It tells MD5 sums, or nothing, where it is not told. */
    if (step == PKG_URIS)
      add_option (ret_args, "Acquire::ForceHash=SHA256");
    names_add (ret_args, step == PKG_PLAN ? "--simulate" : "--print-uris");
    pkg_add_names (ret_args, &request->args);
    return true;
  case PKG_APPLY:
    if (request->program)
      names_add (ret_args, request->program);
    else
      add_apt_get (step, request, target, ret_args);
    if (request->refresh)
      names_add (ret_args, "--error-on=any");
    pkg_add_names (ret_args, &request->args);
    return true;
  default:
    return false;
  }
}

/* dpkg --audit tells by what it prints. */
static enum pkg_meaning meaning (enum pkg_step step, const struct pkg_request *request, int status,
                                 const char *output)
{
  (void) request;
  if (status || ((step == PKG_AUDIT || step == PKG_VERIFY) && output && *output))
    return PKG_FAILED;
  return PKG_OK;
}

static const char *const programs[] = {"apt-get", NULL};

static const char *const environment[] = {
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN=true",
    "UCF_FORCE_CONFFOLD=1",
    "APT_LISTCHANGES_FRONTEND=none",
    "NEEDRESTART_SUSPEND=1",
    NULL,
};

static const char *const conffile_suffixes[] = {".dpkg-dist", ".dpkg-new", ".ucf-dist", NULL};

static const char *const state_paths[] = {
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "usr",
    "etc/apt",
    "etc/dpkg",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/ld.so.preload",
    "etc/passwd",
    "etc/group",
    "etc/nsswitch.conf",
    "etc/ssl",
    "etc/ca-certificates.conf",
    "etc/gnutls",
    "etc/alternatives",
    "etc/debconf.conf",
    "var/lib/dpkg",
    "var/lib/apt",
    NULL,
};

static const char *const selections[] = {"debconf-set-selections", NULL};

static const char *const source_paths[] = {"etc/apt", NULL};

const struct pkg_driver pkg_apt = {
    .name = "apt",
    .programs = programs,
    .database = "var/lib/dpkg/status",
    .environment = environment,
    .conffile_suffixes = conffile_suffixes,
    .state_paths = state_paths,
    .source_paths = source_paths,
    .lists_dir = "var/lib/apt/lists",
    .list_suffix = "_Packages",
    .keep_lists = true,
    .share_lists = apt_share_lists,
    .start_lists = apt_start_lists,
    .end_lists = apt_end_lists,
    .packages_dir = "var/cache/apt/archives",
    .selections = selections,
    .classify = classify,
    .neutral = neutral,
    .command = command,
    .meaning = meaning,
    .line = apt_line,
    .units_per_change = 2,
    .parse_plan = apt_parse_plan,
    .parse_uris = apt_parse_uris,
    .read_installed = dpkg_status_read,
};
