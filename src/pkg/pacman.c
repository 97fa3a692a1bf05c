/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for pacman (6.0.2, and what the manual pages and sources of 6.1 to 7.1 say): command
 * lines. pacman_output.c understands what they print.
 *
 * Partial upgrades: packages are built against each other's newest versions, so that databases must
 * not be newer than what is installed when something is installed. So metadata comes into a guest
 * with an upgrade only, unless the user says -Sy and no more: -Syu is a refresh and -Su, in one
 * transaction; -Sy with packages is refused; nothing is fetched for -S, and vpkg's install is -Su.
 *
 * Downloads: 6.1 and newer could tell addresses and SHA-256 sums by --print-format, but
 * repositories whose packages are signed want NAME.sig beside each file in the cache, which has no
 * sum, or all is fetched again; so pacman itself downloads (-w), in one guest for all of the same
 * state. Every guest checks what it installs against its own databases and keys. */
#include "pacman.h"
#include "words.h"

/* The command line as pacman reads it. Long options count as the letters that mean the same. */
struct words {
  char operation;         /* 'S', 'Q', …; '\0': none */
  unsigned char has[128]; /* how often each letter was given */
  size_t operation_word;  /* its index */
  size_t targets;
  bool fetches; /* a target is an address */
};

static const struct {
  const char *word;
  char letter;
} long_options[] = {
    {"--database", 'D'},
    {"--files", 'F'},
    {"--query", 'Q'},
    {"--remove", 'R'},
    {"--sync", 'S'},
    {"--deptest", 'T'},
    {"--upgrade", 'U'},
    {"--version", 'V'},
    {"--help", 'h'},
    {"--refresh", 'y'},
    {"--sysupgrade", 'u'},
    {"--upgrades", 'u'},
    {"--print", 'p'},
    {"--print-format", 'p'},
    {"--downloadonly", 'w'},
    {"--search", 's'},
    {"--info", 'i'},
    {"--list", 'l'},
    {"--groups", 'g'},
    {"--clean", 'c'},
    {"--check", 'k'},
    {"--file", 'p'},
    {NULL, 0},
};

/* Options whose argument is the next word. */
static const char *const with_argument[] = {
    "--arch",        "--ask",     "--assume-installed", "--cachedir",     "--color",
    "--config",      "--dbpath",  "--gpgdir",           "--hookdir",      "--ignore",
    "--ignoregroup", "--logfile", "--overwrite",        "--print-format", "--root",
    "--sysroot",     NULL,
};

static const struct pkg_grammar grammar = {"pacman", "br", with_argument};

static void add_letter (struct words *words, char letter, size_t number)
{
  if (strchr ("DFQRSTU", letter)) {
    words->operation = letter;
    words->operation_word = number;
  }
  if ((unsigned char) letter < sizeof words->has && words->has[(unsigned char) letter] < 9)
    words->has[(unsigned char) letter]++;
}

/* "--refresh", "--print-format=…" */
static void add_long (struct words *words, const char *word, size_t number)
{
  size_t len = strcspn (word, "=");

  for (size_t i = 0; long_options[i].word; i++)
    if (strlen (long_options[i].word) == len && strncmp (word, long_options[i].word, len) == 0)
      add_letter (words, long_options[i].letter, number);
}

static void add_word (void *data, enum pkg_word kind, const char *text, size_t number)
{
  struct words *words = data;

  if (kind == PKG_WORD_LETTER) {
    add_letter (words, *text, number);
  } else if (kind == PKG_WORD_LONG) {
    add_long (words, text, number);
  } else {
    words->targets++;
    words->fetches |= strstr (text, "://") != NULL;
  }
}

static bool has (const struct words *words, char letter)
{
  return words->has[(unsigned char) letter] > 0;
}

static bool has_any (const struct words *words, const char *letters)
{
  while (*letters && !has (words, *letters))
    letters++;
  return *letters != '\0';
}

/* Does it only tell something? What -Sys and -Fy NAME fetch is thrown away with the rest. */
static bool reads_only (const struct words *words)
{
  if (has_any (words, "hV"))
    return true;
  switch (words->operation) {
  case 'S':
    return !has (words, 'c') && has_any (words, "psgil");
  case 'R':
  case 'U':
    return has (words, 'p');
  case 'D':
    return has (words, 'k');
  case 'F':
    return !has (words, 'y') || words->targets;
  default:
    return true;
  }
}

static const char partial_upgrade[] =
    "with databases that are newer than what is installed it would be a partial upgrade, which "
    "pacman does not support: upgrade with -Syu, which takes names of packages as well";

static int classify_sync (const struct words *words, struct pkg_request *request, struct err *err)
{
  if (has (words, 'c'))
    return 0;
  if (has (words, 'y') && !has (words, 'u') && words->targets)
    return err_code (err, ERR_USAGE, "-Sy with packages is refused: %s", partial_upgrade);
  if (!has (words, 'u') && !words->targets) {
    request->refresh = has (words, 'y');
    return 0;
  }
  request->needs_lists = true;
  request->refresh_first = has (words, 'y');
  request->no_refresh = has (words, 'u') ? NULL : partial_upgrade;
  if (!has (words, 'w')) {
    request->plans = true;
    request->idle = true;
    request->may_do_nothing = true;
  }
  return 0;
}

static int classify (const struct names *args, struct pkg_request *ret_request, struct err *err)
{
  autopkgrequest struct pkg_request request = {.verb = ""};
  struct words words = {0};

  if (!args->count)
    return err_code (err, ERR_USAGE, "the arguments of pacman are expected after --");
  if (pkg_words_read (args, &grammar, add_word, &words, err) < 0)
    return -err->code;
  pkg_add_names (&request.args, args);
  if (words.operation)
    request.verb = request.args.items[words.operation_word];
  request.read_only = reads_only (&words);
  if (!request.read_only && words.operation == 'S' && classify_sync (&words, &request, err) < 0)
    return -err->code;
  if (!request.read_only && strchr ("RU", words.operation)) {
    request.plans = !words.fetches;
    request.may_do_nothing = true;
  }
  if (!request.read_only && words.operation == 'F')
    request.refresh = true;
  *ret_request = request;
  request = (struct pkg_request){0};
  return 0;
}

static const char *const neutral_verbs[PKG_VERBS] = {
    [PKG_VERB_REFRESH] = "-Sy", [PKG_VERB_UPGRADE] = "-Syu",       [PKG_VERB_INSTALL] = "-Su",
    [PKG_VERB_REMOVE] = "-R",   [PKG_VERB_LIST_UPGRADES] = "-Syu", [PKG_VERB_SEARCH] = "-Ss",
    [PKG_VERB_VERIFY] = "-Qkk",
};

static int neutral (enum pkg_verb verb, const struct names *args, struct pkg_request *ret_request,
                    struct err *err)
{
  autonames struct names words = {0};

  names_add (&words, neutral_verbs[verb]);
  if (verb == PKG_VERB_INSTALL)
    names_add (&words, "--needed");
  if (args->count)
    names_add (&words, "--");
  pkg_add_names (&words, args);
  return classify (&words, ret_request, err);
}

/* The user's words; where metadata has been fetched before, without what would fetch it again. */
static void add_request (const struct pkg_request *request, struct names *ret_args)
{
  static const char *const refreshing[] = {"--refresh", NULL};

  if (request->refresh_first)
    pkg_words_copy_without (&request->args, &grammar, 'y', refreshing, ret_args);
  else
    pkg_add_names (ret_args, &request->args);
}

/* The program and its options, as far as the operation has them. */
static void add_pacman (const struct pkg_target *target, char operation, struct names *ret_args)
{
  static const char *const options[] = {"--noconfirm", "--color", "never", NULL};

  names_add (ret_args, target->program);
  pkg_add_words (ret_args, options);
  if (operation && strchr ("SRU", operation))
    names_add (ret_args, "--noprogressbar");
}

static bool command (enum pkg_step step, const struct pkg_request *request,
                     const struct pkg_target *target, struct names *ret_args)
{
  /* What it finds is on standard error. */
  static const char *const check[] = {"sh", "-c", "exec \"$0\" -Dk 2>&1", NULL};
  struct words words = {0};
  autoerr struct err ignored = {0};

  if (pkg_words_read (&request->args, &grammar, add_word, &words, &ignored) < 0)
    return false; /* classify has refused it */
  switch (step) {
  case PKG_AUDIT:
  case PKG_VERIFY:
    pkg_add_words (ret_args, check);
    names_add (ret_args, target->program);
    return true;
  case PKG_REFRESH:
    add_pacman (target, 'S', ret_args);
    names_add (ret_args, words.has['y'] > 1 ? "-Syy" : "-Sy");
    return true;
  case PKG_PLAN:
    if (!request->plans)
      return false;
    add_pacman (target, words.operation, ret_args);
    names_add (ret_args, "--print-format");
    names_add (ret_args, words.operation == 'R' ? "remove %n %v" : "install %n %v");
    add_request (request, ret_args);
    return true;
  case PKG_DOWNLOAD:
    if (!request->plans || words.operation != 'S')
      return false;
    add_pacman (target, words.operation, ret_args);
    names_add (ret_args, "--downloadonly");
    add_request (request, ret_args);
    return true;
  case PKG_APPLY:
    add_pacman (target, words.operation, ret_args);
    add_request (request, ret_args);
    return true;
  default:
    return false;
  }
}

/* Filters and searches that find nothing exit with 1, as grep does. */
static bool may_find_nothing (const struct pkg_request *request)
{
  struct words words = {0};
  autoerr struct err ignored = {0};

  if (!request->read_only ||
      pkg_words_read (&request->args, &grammar, add_word, &words, &ignored) < 0)
    return false;
  switch (words.operation) {
  case 'Q':
    return !has (&words, 'k') && (has (&words, 's') || !words.targets);
  case 'S':
    return has (&words, 's');
  case 'F':
    return true;
  default:
    return false;
  }
}

static enum pkg_meaning meaning (enum pkg_step step, const struct pkg_request *request, int status,
                                 const char *output)
{
  if (!status)
    return PKG_OK;
  if (step == PKG_AUDIT || step == PKG_VERIFY)
    return output && pacman_is_damaged (output) ? PKG_FAILED : PKG_OK;
  return step == PKG_APPLY && status == 1 && may_find_nothing (request) ? PKG_NOTHING : PKG_FAILED;
}

static const char *const programs[] = {"pacman", NULL};

static const char *const environment[] = {"LC_ALL=C.UTF-8", NULL};

static const char *const conffile_suffixes[] = {".pacnew", ".pacsave", ".pacorig", NULL};

/* Not var/lib/pacman/local, whose files tell to the second when each package was installed: the
 * engine has the packages themselves from read_installed. */
static const char *const state_paths[] = {
    "bin",
    "sbin",
    "lib",
    "lib64",
    "usr",
    "etc/pacman.conf",
    "etc/pacman.d",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/ld.so.preload",
    "etc/passwd",
    "etc/group",
    "etc/nsswitch.conf",
    "etc/ssl",
    "etc/ca-certificates",
    "var/lib/pacman/sync",
    NULL,
};

static const char *const source_paths[] = {"etc/pacman.conf", "etc/pacman.d", NULL};

const struct pkg_driver pkg_pacman = {
    .name = "pacman",
    .programs = programs,
    .database = "var/lib/pacman/local/ALPM_DB_VERSION",
    .lock_file = "var/lib/pacman/db.lck",
    .environment = environment,
    .conffile_suffixes = conffile_suffixes,
    .state_paths = state_paths,
    .state_packages = true,
    .source_paths = source_paths,
    .lists_dir = "var/lib/pacman/sync",
    .list_suffix = ".db",
    .keep_lists = true,
    .packages_dir = "var/cache/pacman/pkg",
    .cache_dir = "var/cache/pacman/pkg",
    .classify = classify,
    .neutral = neutral,
    .command = command,
    .meaning = meaning,
    .line = pacman_line,
    .units_per_change = 1,
    .plans_news = true,
    .parse_plan = pacman_parse_plan,
    .read_installed = pacman_read_installed,
};
