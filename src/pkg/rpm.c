/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for rpm: its command lines, and what they share with those of dnf and zypper.
 *
 * rpm takes files or addresses; it has no repositories, plans nothing and downloads by itself. It
 * keeps the guest's version of a changed configuration file, or leaves it beside the new one. Of
 * scriptlets that fail behind the unpacking it only warns: for us the package has failed. */
#include "rpm.h"
#include "verbs.h"
#include "words.h"

const char *const rpm_conffile_suffixes[] = {".rpmnew", ".rpmsave", ".rpmorig", NULL};

const char *const rpm_write_paths[] = {"var/lib/rpm", "usr/lib/sysimage/rpm", NULL};

#define PACKAGE_FORMAT                                                                             \
  "%{NAME}.%{ARCH}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t%|LONGSIZE?{%{LONGSIZE}}:{0}|\\n"

bool rpm_database_command (enum pkg_step step, struct names *ret_args)
{
  static const char *const audit[] = {"rpm", "--verifydb", NULL};
  static const char *const installed[] = {"rpm", "-qa", "--qf", PACKAGE_FORMAT, NULL};

  if (step == PKG_AUDIT || step == PKG_VERIFY)
    pkg_add_words (ret_args, audit);
  else if (step == PKG_INSTALLED)
    pkg_add_words (ret_args, installed);
  else
    return false;
  return true;
}

void rpm_verify_request (const struct names *args, struct pkg_request *ret_request)
{
  *ret_request = (struct pkg_request){.program = "rpm", .read_only = true};
  names_add (&ret_request->args, args->count ? "-V" : "-Va");
  pkg_add_names (&ret_request->args, args);
  ret_request->verb = ret_request->args.items[0];
}

/* Options whose argument is the next word. */
static const char *const with_argument[] = {
    "--badreloc", "--dbpath", "--define",   "--eval",   "--excludepath",
    "--load",     "--macros", "--pipe",     "--prefix", "--queryformat",
    "--qf",       "--rcfile", "--relocate", "--root",   "--target",
    "--undefine", NULL,
};
static const struct pkg_grammar grammar = {"rpm", "Dr", with_argument};

/* What rpm is to do is told by options. Those that ask win over others: "-qi" asks for
 * information, "-i" installs. */
static const struct pkg_verb_entry modes[] = {
    {"--query", PKG_DOES_READ},
    {"--verify", PKG_DOES_READ},
    {"--checksig", PKG_DOES_READ},
    {"--querytags", PKG_DOES_READ},
    {"--showrc", PKG_DOES_READ},
    {"--eval", PKG_DOES_READ},
    {"--version", PKG_DOES_READ},
    {"--help", PKG_DOES_READ},
    {"--usage", PKG_DOES_READ},
    {"--exportdb", PKG_DOES_READ},
    {"--test", PKG_DOES_READ},
    {"--verifydb", PKG_DOES_READ | PKG_DOES_REPAIR},
    {"--install", PKG_DOES_MAYBE_NOTHING},
    {"--upgrade", PKG_DOES_MAYBE_NOTHING},
    {"--freshen", PKG_DOES_MAYBE_NOTHING},
    {"--erase", PKG_DOES_MAYBE_NOTHING},
    {"--import", PKG_DOES_MAYBE_NOTHING},
    {"--rebuilddb", PKG_DOES_REPAIR},
    {"--initdb", PKG_DOES_REPAIR},
    {"--importdb", PKG_DOES_REPAIR},
    {NULL, 0},
};

/* Of short options. Their arguments, as that of -E, are no options. */
static unsigned flags_of_letter (char letter)
{
  if (strchr ("qVKE?", letter))
    return PKG_DOES_READ;
  return strchr ("iUFe", letter) ? PKG_DOES_MAYBE_NOTHING : 0;
}

struct found {
  struct pkg_request *request;
  unsigned flags;
};

static void look_at_word (void *data, enum pkg_word type, const char *text, size_t number)
{
  struct found *found = data;
  struct pkg_request *request = found->request;
  unsigned flags = 0;

  if (type == PKG_WORD_LETTER) {
    flags = flags_of_letter (*text);
  } else if (type == PKG_WORD_LONG) {
    /* "--eval=…" */
    autofree char *name = xstrndup (text, strcspn (text, "="));

    flags = pkg_verb_flags (modes, name, NULL);
  }
  if (flags && !*request->verb)
    request->verb = request->args.items[number];
  found->flags |= flags;
}

static int classify (const struct names *args, struct pkg_request *ret_request, struct err *err)
{
  autopkgrequest struct pkg_request request = {.verb = ""};
  struct found found = {.request = &request};

  if (!args->count)
    return err_code (err, ERR_USAGE, "the arguments of rpm are expected after --");
  pkg_add_names (&request.args, args);
  if (pkg_words_read (args, &grammar, look_at_word, &found, err) < 0)
    return -err->code;
  pkg_request_add_flags (&request, found.flags);
  if (request.read_only)
    request.may_do_nothing = false;
  *ret_request = request;
  request = (struct pkg_request){0};
  return 0;
}

static int neutral (enum pkg_verb verb, const struct names *args, struct pkg_request *ret_request,
                    struct err *err)
{
  static const char *const words[PKG_VERBS] = {
      [PKG_VERB_INSTALL] = "-U",
      [PKG_VERB_REMOVE] = "-e",
  };
  autonames struct names all = {0};

  if (verb == PKG_VERB_VERIFY) {
    rpm_verify_request (args, ret_request);
    return 0;
  }
  if (!words[verb])
    return err_code (err, ERR_USAGE,
                     "rpm knows no repositories: it can install files, remove and "
                     "verify packages");
  names_add (&all, words[verb]);
  pkg_add_names (&all, args);
  return classify (&all, ret_request, err);
}

static bool command (enum pkg_step step, const struct pkg_request *request,
                     const struct pkg_target *target, struct names *ret_args)
{
  if (step != PKG_APPLY)
    return rpm_database_command (step, ret_args);
  names_add (ret_args, request->program ? request->program : target->program);
  pkg_add_names (ret_args, &request->args);
  return true;
}

static const char *const programs[] = {"rpm", NULL};

static const char *const environment[] = {"LC_ALL=C.UTF-8", NULL};

static const char *const state_paths[] = {RPM_STATE_PATHS, NULL};

static const char *const source_paths[] = {NULL};

static const char *const database_paths[] = {RPM_DATABASE_PATHS, NULL};

const struct pkg_driver pkg_rpm = {
    .name = "rpm",
    .programs = programs,
    .database = "var/lib/rpm",
    .environment = environment,
    .conffile_suffixes = rpm_conffile_suffixes,
    .state_paths = state_paths,
    .source_paths = source_paths,
    .database_paths = database_paths,
    .write_paths = rpm_write_paths,
    .classify = classify,
    .neutral = neutral,
    .command = command,
    .line = rpm_line,
    .parse_installed = rpm_parse_installed,
};
