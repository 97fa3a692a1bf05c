/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for dnf 4 and 5, microdnf and yum: command lines. dnf_output.c understands what they
 * print.
 *
 * Questions are answered with yes, which means keys of repositories that the guest's configuration
 * names. Metadata and packages lie in one place, whatever the program: so they can be fetched by
 * one guest for others. Metadata is fetched by makecache alone: for all other commands it is never
 * too old. microdnf knows hardly any options: it fetches for itself, and tells no plan. */
#include "dnf.h"
#include "rpm.h"
#include "verbs.h"
#include "words.h"

/* Options of dnf(8) and yum(8) whose argument is the next word. */
static const char *const with_argument[] = {
    "--advisories",
    "--advisory",
    "--bz",
    "--bzs",
    "--color",
    "--comment",
    "--config",
    "--cve",
    "--cves",
    "--debuglevel",
    "--destdir",
    "--disable-plugin",
    "--disable-repo",
    "--disableexcludepkgs",
    "--disableexcludes",
    "--disableplugin",
    "--disablerepo",
    "--downloaddir",
    "--enable-plugin",
    "--enable-repo",
    "--enableplugin",
    "--enablerepo",
    "--errorlevel",
    "--exclude",
    "--excludepkgs",
    "--forcearch",
    "--from-repo",
    "--installroot",
    "--qf",
    "--queryformat",
    "--randomwait",
    "--releasever",
    "--repo",
    "--repofrompath",
    "--repoid",
    "--rpmverbosity",
    "--sec-severity",
    "--secseverity",
    "--setopt",
    NULL,
};
static const struct pkg_grammar grammar = {"dnf", "cdeRx", with_argument};

enum {
  CHANGES = PKG_DOES_NEED_LISTS | PKG_DOES_MAYBE_NOTHING | PKG_DOES_PLAN,
  UPGRADES = CHANGES | PKG_DOES_IDLE,
  REMOVES = PKG_DOES_MAYBE_NOTHING | PKG_DOES_PLAN,
  ASKS = PKG_DOES_READ | PKG_DOES_NEED_LISTS,
};

static const struct pkg_verb_entry verbs[] = {
    {"makecache", PKG_DOES_REFRESH},
    {"mc", PKG_DOES_REFRESH},
    {"upgrade", UPGRADES},
    {"update", UPGRADES},
    {"up", UPGRADES},
    {"upgrade-to", CHANGES},
    {"update-to", CHANGES},
    {"localupdate", CHANGES},
    {"upgrade-minimal", UPGRADES},
    {"update-minimal", UPGRADES},
    {"up-min", UPGRADES},
    {"distro-sync", UPGRADES},
    {"distrosync", UPGRADES},
    {"dsync", UPGRADES},
    {"distribution-synchronization", UPGRADES},
    {"install", CHANGES},
    {"in", CHANGES},
    {"install-n", CHANGES},
    {"install-na", CHANGES},
    {"install-nevra", CHANGES},
    {"localinstall", CHANGES},
    {"builddep", CHANGES},
    {"build-dep", CHANGES},
    {"debuginfo-install", CHANGES},
    {"reinstall", PKG_DOES_NEED_LISTS | PKG_DOES_PLAN},
    {"rei", PKG_DOES_NEED_LISTS | PKG_DOES_PLAN},
    {"downgrade", CHANGES},
    {"dg", CHANGES},
    {"swap", CHANGES},
    {"remove", REMOVES},
    {"erase", REMOVES},
    {"rm", REMOVES},
    {"remove-n", REMOVES},
    {"remove-na", REMOVES},
    {"remove-nevra", REMOVES},
    {"erase-n", REMOVES},
    {"erase-na", REMOVES},
    {"erase-nevra", REMOVES},
    {"autoremove", REMOVES},
    {"autoremove-n", REMOVES},
    {"autoremove-na", REMOVES},
    {"autoremove-nevra", REMOVES},
    {"group *", CHANGES},
    {"group list", ASKS},
    {"group info", ASKS},
    {"group summary", ASKS},
    {"group", ASKS},
    {"groups *", CHANGES},
    {"groups list", ASKS},
    {"groups info", ASKS},
    {"groups summary", ASKS},
    {"groups", ASKS},
    {"grp *", CHANGES},
    {"grp list", ASKS},
    {"grp info", ASKS},
    {"grouplist", ASKS},
    {"groupinfo", ASKS},
    {"groupinstall", CHANGES},
    {"groupupdate", CHANGES},
    {"groupremove", REMOVES},
    {"grouperase", REMOVES},
    {"environment list", ASKS},
    {"environment info", ASKS},
    {"module install", CHANGES},
    {"module update", CHANGES},
    {"module switch-to", CHANGES},
    {"module remove", REMOVES},
    {"module *", PKG_DOES_NEED_LISTS},
    {"module list", ASKS},
    {"module info", ASKS},
    {"module provides", ASKS},
    {"module repoquery", ASKS},
    {"history *", PKG_DOES_NEED_LISTS | PKG_DOES_PLAN},
    {"history list", PKG_DOES_READ},
    {"history info", PKG_DOES_READ},
    {"history userinstalled", PKG_DOES_READ},
    {"history", PKG_DOES_READ},
    {"hist list", PKG_DOES_READ},
    {"hist info", PKG_DOES_READ},
    {"check", PKG_DOES_READ},
    {"check-update", ASKS},
    {"check-upgrade", ASKS},
    {"list installed", PKG_DOES_READ},
    {"list", ASKS},
    {"ls", ASKS},
    {"info installed", PKG_DOES_READ},
    {"info", ASKS},
    {"if", ASKS},
    {"search", ASKS},
    {"se", ASKS},
    {"repoquery", ASKS},
    {"rq", ASKS},
    {"provides", ASKS},
    {"whatprovides", ASKS},
    {"prov", ASKS},
    {"wp", ASKS},
    {"deplist", ASKS},
    {"changelog", ASKS},
    {"repoclosure", ASKS},
    {"updateinfo", ASKS},
    {"upif", ASKS},
    {"list-updateinfo", ASKS},
    {"info-updateinfo", ASKS},
    {"summary-updateinfo", ASKS},
    {"list-security", ASKS},
    {"list-sec", ASKS},
    {"info-security", ASKS},
    {"info-sec", ASKS},
    {"advisory", ASKS},
    {"leaves", PKG_DOES_READ},
    {"needs-restarting", PKG_DOES_READ},
    {"repolist", PKG_DOES_READ},
    {"repoinfo", ASKS},
    {"repo list", PKG_DOES_READ},
    {"repo info", ASKS},
    {"versionlock list", PKG_DOES_READ},
    {"version", PKG_DOES_READ},
    {"help", PKG_DOES_READ},
    {NULL, 0},
};

static const char *const simulating[] = {"--assumeno", "--help", "--version", NULL};

/* What words and options make of a request. */
struct kind {
  struct pkg_request *request;
  const char *second; /* the word behind the verb, or NULL */
  bool downloads;
  bool installed; /* asks about installed packages only */
  bool cached;    /* with the metadata that the guest has */
};

static void look_at_word (void *data, enum pkg_word type, const char *text, size_t number)
{
  struct kind *kind = data;
  struct pkg_request *request = kind->request;

  (void) number;
  if (type == PKG_WORD_LETTER) {
    request->read_only |= *text == 'h';
    kind->cached |= *text == 'C';
  } else if (type == PKG_WORD_LONG) {
    request->read_only |= pkg_in_list (text, simulating);
    kind->downloads |= strcmp (text, "--downloadonly") == 0;
    kind->installed |= strcmp (text, "--installed") == 0;
    kind->cached |= pkg_starts_with (text, "--cacheonly");
  } else if (!*request->verb) {
    request->verb = text;
  } else if (!kind->second) {
    kind->second = text;
  }
}

static void set_flags (struct pkg_request *request, const struct kind *kind)
{
  pkg_request_add_flags (request, pkg_verb_flags (verbs, request->verb, kind->second));
  request->read_only |= !*request->verb;
  if (kind->cached || (request->read_only && kind->installed))
    request->needs_lists = false;
  request->refresh_first = request->needs_lists;
  if (request->read_only || kind->downloads)
    request->plans = request->may_do_nothing = request->idle = false;
}

static int classify (const struct names *args, struct pkg_request *ret_request, struct err *err)
{
  /* What we say ourselves: yum asks when it is told both yes and no. */
  static const char *const assume_yes[] = {"--assumeyes", NULL};
  autopkgrequest struct pkg_request request = {.verb = ""};
  struct kind kind = {.request = &request};

  if (!args->count)
    return err_code (err, ERR_USAGE, "the arguments of dnf are expected after --");
  pkg_words_copy_without (args, &grammar, 'y', assume_yes, &request.args);
  if (pkg_words_read (&request.args, &grammar, look_at_word, &kind, err) < 0)
    return -err->code;
  set_flags (&request, &kind);
  *ret_request = request;
  request = (struct pkg_request){0};
  return 0;
}

static int neutral (enum pkg_verb verb, const struct names *args, struct pkg_request *ret_request,
                    struct err *err)
{
  static const char *const words[PKG_VERBS] = {
      [PKG_VERB_REFRESH] = "makecache",     [PKG_VERB_UPGRADE] = "upgrade",
      [PKG_VERB_INSTALL] = "install",       [PKG_VERB_REMOVE] = "remove",
      [PKG_VERB_LIST_UPGRADES] = "upgrade", [PKG_VERB_SEARCH] = "search",
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

static bool is_micro (const struct pkg_target *target)
{
  return strcmp (target->program, "microdnf") == 0;
}

static void add_dnf (const struct pkg_target *target, struct names *ret_args)
{
  static const char *const options[] = {"-y", "--setopt=cachedir=/var/cache/dnf",
                                        "--setopt=exit_on_lock=True", NULL};

  names_add (ret_args, target->program);
  if (is_micro (target)) {
    names_add (ret_args, "-y");
    return;
  }
  pkg_add_words (ret_args, options);
  if (strcmp (target->program, "dnf5") == 0)
    names_add (ret_args, "--setopt=system_cachedir=/var/cache/dnf");
}

/* With what was fetched before, however old. */
static void add_dnf_offline (const struct pkg_target *target, struct names *ret_args)
{
  static const char *const options[] = {"--setopt=metadata_expire=never",
                                        "--setopt=*.metadata_expire=never", NULL};

  add_dnf (target, ret_args);
  if (!is_micro (target))
    pkg_add_words (ret_args, options);
}

static void add_refresh (const struct pkg_target *target, struct names *ret_args)
{
  add_dnf (target, ret_args);
  /* yum of version 3 does not know --refresh. */
  if (strcmp (target->program, "yum") == 0)
    names_add (ret_args, "--setopt=metadata_expire=0");
  else
    names_add (ret_args, "--refresh");
}

/* The request without running it: its words, with those away that keep the table from us. */
static void add_plan (const struct pkg_request *request, const struct pkg_target *target,
                      struct names *ret_args)
{
  static const char *const quiet[] = {"--quiet", NULL};

  add_dnf_offline (target, ret_args);
  names_add (ret_args, "--setopt=debuglevel=2");
  names_add (ret_args, "--assumeno");
  pkg_words_copy_without (&request->args, &grammar, 'q', quiet, ret_args);
}

/* dnf 5 takes the option behind the verb only. */
static void add_download (const struct pkg_request *request, const struct pkg_target *target,
                          struct names *ret_args)
{
  bool added = false;

  add_dnf_offline (target, ret_args);
  for (size_t i = 0; i < request->args.count; i++) {
    if (!added && strcmp (request->args.items[i], "--") == 0) {
      names_add (ret_args, "--downloadonly");
      added = true;
    }
    names_add (ret_args, request->args.items[i]);
  }
  if (!added)
    names_add (ret_args, "--downloadonly");
}

static void add_apply (const struct pkg_request *request, const struct pkg_target *target,
                       struct names *ret_args)
{
  if (request->program)
    names_add (ret_args, request->program);
  else if (request->refresh && !is_micro (target))
    add_refresh (target, ret_args);
  else if (request->read_only)
    add_dnf (target, ret_args);
  else
    add_dnf_offline (target, ret_args);
  pkg_add_names (ret_args, &request->args);
}

static bool command (enum pkg_step step, const struct pkg_request *request,
                     const struct pkg_target *target, struct names *ret_args)
{
  switch (step) {
  case PKG_REFRESH:
    if (is_micro (target))
      return false;
    add_refresh (target, ret_args);
    names_add (ret_args, "makecache");
    return true;
  case PKG_PLAN:
    if (!request->plans || is_micro (target))
      return false;
    add_plan (request, target, ret_args);
    return true;
  case PKG_DOWNLOAD:
    if (!request->plans || !request->needs_lists || is_micro (target))
      return false;
    add_download (request, target, ret_args);
    return true;
  case PKG_APPLY:
    add_apply (request, target, ret_args);
    return true;
  default:
    return rpm_database_command (step, ret_args);
  }
}

/* 100: check-update found some. 200: the lock. 1: any error, and a plan that was not run. */
static enum pkg_meaning meaning (enum pkg_step step, const struct pkg_request *request, int status,
                                 const char *output)
{
  bool simulated = step == PKG_PLAN || (step == PKG_APPLY && request->read_only);

  if (status == 0)
    return PKG_OK;
  if (status == 200 && step != PKG_AUDIT && step != PKG_VERIFY && step != PKG_INSTALLED)
    return PKG_BUSY;
  if (status == 100 && step == PKG_APPLY && pkg_starts_with (request->verb, "check-up"))
    return PKG_OK;
  if (status == 1 && simulated && output && dnf_has_plan (output))
    return PKG_OK;
  return PKG_FAILED;
}

static const char *const programs[] = {"dnf5", "dnf", "yum", "microdnf", NULL};

static const char *const environment[] = {"LC_ALL=C.UTF-8", NULL};

static const char *const state_paths[] = {
    RPM_STATE_PATHS, "etc/distro.repos.d", "etc/dnf",     "etc/rhsm",    "etc/yum",
    "etc/yum.conf",  "etc/yum.repos.d",    "var/lib/dnf", "var/lib/yum", NULL,
};

static const char *const source_paths[] = {
    "etc/distro.repos.d", "etc/dnf", "etc/rhsm", "etc/yum", "etc/yum.conf", "etc/yum.repos.d", NULL,
};

static const char *const database_paths[] = {RPM_DATABASE_PATHS, "var/lib/dnf", "var/lib/yum",
                                             NULL};

const struct pkg_driver pkg_dnf = {
    .name = "dnf",
    .programs = programs,
    .database = "var/lib/rpm",
    .environment = environment,
    .conffile_suffixes = rpm_conffile_suffixes,
    .state_paths = state_paths,
    .source_paths = source_paths,
    .database_paths = database_paths,
    .lists_dir = "var/cache/dnf",
    .list_suffix = "-",
    .cache_dir = "var/cache/dnf",
    .cache_suffix = ".rpm",
    .write_paths = rpm_write_paths,
    .classify = classify,
    .neutral = neutral,
    .command = command,
    .meaning = meaning,
    .line = dnf_line,
    .units_per_change = 1,
    .parse_plan = dnf_parse_plan,
    .parse_installed = rpm_parse_installed,
};
