/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bootstrap.h"
#include "template/kind.h"
#include "template/trust.h"
#include "util/fd.h"

static const char target_name[] = "bootstrap";

static const struct bootstrap_tool *const tools[] = {
    &bootstrap_apt, &bootstrap_dnf, &bootstrap_zypper, &bootstrap_pacman, &bootstrap_apk,
};

int bootstrap_file (struct import *import, const char *name, const char *text, char **ret_path,
                    struct err *err)
{
  static const char dir[] = "configuration";

  /* In a directory of its own: some programs read all files of one. */
  if (mkdirat (import->temp_fd, dir, 0700) < 0 && errno != EEXIST)
    return err_errno (err, "make a directory in staging");
  autoclose int fd = fd_open_dir (import->temp_fd, dir);
  if (fd < 0)
    return err_errno (err, "open a directory in staging");
  if (fd_write_file (fd, name, text, strlen (text), 0644, err) < 0)
    return -err->code;
  *ret_path =
      xasprintf ("%s/staging/%s/temp/%s/%s", import->root->path, import->staging.name, dir, name);
  return 0;
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  const struct bootstrap *bootstrap = data;
  autofree char *target = NULL;
  autoclose int fd = -1;

  if (hostprogram_target (import, target_name, &target, &fd, err) < 0 ||
      bootstrap->tool->run (bootstrap, import, target, fd, err) < 0 || bootstrap_tidy (fd, err) < 0)
    return -err->code;
  /* All of them refuse what the distribution's keys did not sign. */
  if (!bootstrap->is_unsigned)
    import_note_verified (import, IMPORT_VOUCH_SIGNATURE, "packages", "openpgp",
                          bootstrap->keyring ? bootstrap->keyring
                                             : "keyring of the bootstrap program");
  return import_fill (import, fd, err);
}

/* Words that become arguments of a bootstrap program: none may look like an option or a list. */
static bool plain_word (const char *word, const char *more)
{
  static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  size_t len = strspn (word, first);

  if (!len)
    return false;
  while (word[len] && (strchr (first, word[len]) || strchr (more, word[len])))
    len++;
  return !word[len] && len <= 128;
}

static void parse_include (struct check *check, json_object *source, struct bootstrap *bootstrap)
{
  json_object *include = check_strings (check, source, "include");

  for (size_t i = 0; include && i < json_object_array_length (include); i++) {
    const char *package = json_object_get_string (json_object_array_get_idx (include, i));

    if (plain_word (package, "+.-:_")) {
      names_add (&bootstrap->include, package);
      continue;
    }
    size_t mark = check_enter_item (check, "include", i);
    check_add (check, NULL, "\"%.60s\" is no name of a package", package);
    check_leave (check, mark);
  }
}

/* A line of sources.list, or a URL, is one line without what would end it. */
static bool one_line (const char *text)
{
  for (const char *p = text; *p; p++)
    if ((unsigned char) *p < 0x20)
      return false;
  return true;
}

static void parse_sources (struct check *check, json_object *source, struct bootstrap *bootstrap)
{
  json_object *sources = check_strings (check, source, "sources");

  for (size_t i = 0; sources && i < json_object_array_length (sources); i++) {
    const char *line = json_object_get_string (json_object_array_get_idx (sources, i));
    size_t mark = check_enter_item (check, "sources", i);

    if (strncmp (line, "deb ", 4) != 0 || !strstr (line, "://") || !one_line (line))
      check_add (check, NULL, "must be a line \"deb URI SUITE COMPONENT…\"");
    names_add (&bootstrap->sources, line);
    check_leave (check, mark);
  }
}

static void parse_repositories (struct check *check, json_object *source,
                                struct bootstrap *bootstrap)
{
  json_object *list =
      check_object (check, source, "repositories", bootstrap->tool->needs_repositories);

  if (!list)
    return;
  size_t mark = check_enter (check, "repositories");
  json_object_object_foreach (list, name, value)
  {
    const char *url = json_object_get_string (value);

    if (!plain_word (name, ".-_"))
      check_add (check, NULL, "\"%.60s\" is no name of a repository", name);
    else if (!json_object_is_type (value, json_type_string) || !strstr (url, "://") ||
             strchr (url, ' ') || !one_line (url))
      check_add (check, name, "must be a URL");
    names_add (&bootstrap->repositories, name);
    names_add (&bootstrap->urls, url ? url : "");
  }
  check_leave (check, mark);
}

static void parse_tool (struct check *check, json_object *source, struct bootstrap *bootstrap)
{
  static const char *const managers[] = {"apt", "dnf", "zypper", "pacman", "apk", NULL};
  const char *manager = check_word (check, source, "manager", managers, "apt");

  bootstrap->tool = tools[0];
  for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++)
    if (strcmp (tools[i]->name, manager) == 0)
      bootstrap->tool = tools[i];
}

/* What means nothing to the tool is a mistake. */
static void check_fit (struct check *check, json_object *source, const struct bootstrap *bootstrap)
{
  static const char *const of_apt[] = {"variant", "updates", "sources", NULL};

  if (bootstrap->tool != &bootstrap_apt)
    for (const char *const *key = of_apt; *key; key++)
      if (json_object_object_get (source, *key))
        check_add (check, *key, "is for \"apt\"");
  if (bootstrap->tool == &bootstrap_apt && json_object_object_get (source, "repositories"))
    check_add (check, "repositories", "is not for \"apt\": there it is \"sources\"");
  if (bootstrap->tool != &bootstrap_apt && !bootstrap->include.count)
    check_add (check, "include", "is missing: the packages to install");
}

static void *parse (struct check *check, json_object *source)
{
  static const char *const variants[] = {"apt", "minbase", "important", "standard", "buildd", NULL};
  struct bootstrap *bootstrap = xcalloc (1, sizeof *bootstrap);

  parse_tool (check, source, bootstrap);
  const char *suite = check_string (check, source, "suite", bootstrap->tool->needs_suite);
  if (suite && !plain_word (suite, ".-"))
    check_add (check, "suite", "must be a name such as \"bookworm\", or a number");
  bootstrap->suite = suite ? xstrdup (suite) : NULL;
  bootstrap->variant = xstrdup (check_word (check, source, "variant", variants, "minbase"));
  bootstrap->updates = check_bool (check, source, "updates", false);
  bootstrap->is_unsigned = check_bool (check, source, "unsigned", false);
  const char *keyring = check_string (check, source, "keyring", false);
  trust_check_key_file (check, "keyring", keyring);
  if (keyring && !one_line (keyring))
    check_add (check, "keyring", "must be one line");
  bootstrap->keyring = keyring ? trust_key_path (keyring) : NULL;
  parse_include (check, source, bootstrap);
  parse_sources (check, source, bootstrap);
  parse_repositories (check, source, bootstrap);
  check_fit (check, source, bootstrap);
  return bootstrap;
}

static void release (void *data)
{
  struct bootstrap *bootstrap = data;

  free (bootstrap->suite);
  free (bootstrap->variant);
  free (bootstrap->keyring);
  names_release (&bootstrap->include);
  names_release (&bootstrap->sources);
  names_release (&bootstrap->repositories);
  names_release (&bootstrap->urls);
  free (bootstrap);
}

static char *describe (const void *data)
{
  const struct bootstrap *bootstrap = data;

  if (bootstrap->tool == &bootstrap_apt)
    return xasprintf ("bootstrap of %s, variant %s", bootstrap->suite, bootstrap->variant);
  return xasprintf ("bootstrap by %s from %s%s%s", bootstrap->tool->name, bootstrap->urls.items[0],
                    bootstrap->suite ? ", " : "", bootstrap->suite ? bootstrap->suite : "");
}

static const char *const keys[] = {"manager", "suite",    "variant", "include",      "updates",
                                   "sources", "unsigned", "keyring", "repositories", NULL};
const struct source_kind kind_bootstrap = {
    .name = "bootstrap",
    .summary = "a new system by the distribution's own tool",
    .keys = keys,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
};
