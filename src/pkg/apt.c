/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "apt.h"
#include "util/dirread.h"
#include "util/fd.h"

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

enum { READ_ONLY = 1, NEEDS_LISTS = 2, MAY_DO_NOTHING = 4, UPDATE = 8 };

static const struct {
  const char *name;
  unsigned flags;
} verbs[] = {
    {"update", UPDATE},
    {"upgrade", NEEDS_LISTS | MAY_DO_NOTHING},
    {"dist-upgrade", NEEDS_LISTS | MAY_DO_NOTHING},
    {"full-upgrade", NEEDS_LISTS | MAY_DO_NOTHING},
    {"install", NEEDS_LISTS | MAY_DO_NOTHING},
    {"reinstall", NEEDS_LISTS},
    {"build-dep", NEEDS_LISTS | MAY_DO_NOTHING},
    {"satisfy", NEEDS_LISTS | MAY_DO_NOTHING},
    {"source", NEEDS_LISTS},
    {"download", NEEDS_LISTS},
    {"remove", MAY_DO_NOTHING},
    {"purge", MAY_DO_NOTHING},
    {"autoremove", MAY_DO_NOTHING},
    {"autopurge", MAY_DO_NOTHING},
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

static bool in_list (const char *word, const char *const *list)
{
  while (*list && strcmp (*list, word) != 0)
    list++;
  return *list != NULL;
}

/* Short options may stand together: "-yqs". The argument of one ends the word, or is the next. */
static bool short_options (const char *word, bool *ret_read_only)
{
  for (const char *p = word + 1; *p; p++) {
    if (strchr ("octaP", *p))
      return !p[1];
    if (*p == 's' || *p == 'v' || *p == 'h')
      *ret_read_only = true;
  }
  return false;
}

int apt_classify (const char *const *args, struct apt_request *ret_request, struct err *err)
{
  struct apt_request request = {.args = args, .verb = ""};
  bool options_end = false;

  if (!args[0])
    return err_code (err, ERR_USAGE, "the arguments of apt-get are expected after --");
  for (; *args; args++) {
    const char *word = *args;
    bool takes_next = false;

    if (word[0] == '-' && word[1] && !options_end) {
      if (strcmp (word, "--") == 0)
        options_end = true;
      else if (word[1] == '-')
        takes_next = in_list (word, with_argument);
      else
        takes_next = short_options (word, &request.read_only);
      request.read_only |= in_list (word, simulating);
      if (takes_next && !*++args)
        return err_code (err, ERR_USAGE, "apt-get's option %s needs an argument", word);
    } else if (!*request.verb) {
      request.verb = word;
    }
  }
  for (size_t i = 0; verbs[i].name; i++)
    if (strcmp (verbs[i].name, request.verb) == 0) {
      request.read_only |= (verbs[i].flags & READ_ONLY) != 0;
      request.update = (verbs[i].flags & UPDATE) != 0;
      request.needs_lists = (verbs[i].flags & NEEDS_LISTS) != 0;
      request.may_do_nothing = (verbs[i].flags & MAY_DO_NOTHING) != 0;
    }
  request.read_only |= !*request.verb;
  *ret_request = request;
  return 0;
}

/* The layers of a stopped guest have no whiteouts: what one of them has, the guest has. */
int apt_has_lists (struct guest *guest, struct err *err)
{
  static const char *const layers[] = {"txn/upper", "private", "tree", NULL};

  for (const char *const *layer = layers; *layer; layer++) {
    autodirlist struct dirlist list = {0};
    autoclose int layer_fd = fd_open_dir (guest->fd, *layer);

    if (layer_fd < 0 && errno == ENOENT)
      continue;
    if (layer_fd < 0)
      return err_errno (err, "guest %s: open %s", guest->name, *layer);
    autoclose int fd = fd_open_dir_beneath (layer_fd, "var/lib/apt/lists");
    if (fd < 0)
      continue;
    if (dirread_all (fd, &list, err) < 0)
      return err_wrap (err, "guest %s: var/lib/apt/lists", guest->name);
    for (size_t i = 0; i < list.count; i++)
      if (list.items[i].type == DT_REG && strstr (list.items[i].name, "_Packages"))
        return 1;
  }
  return 0;
}

void apt_commands_release (struct apt_commands *commands)
{
  int saved = errno;

  names_release (&commands->strings);
  free (commands->args[0]);
  free (commands->args[1]);
  free (commands->env);
  *commands = (struct apt_commands){0};
  errno = saved;
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
    "Dir::Cache::pkgcache=",
    "-o",
    "Dir::Cache::srcpkgcache=",
    "-o",
    "DPkg::Lock::Timeout=60",
    "-o",
    "APT::Keep-Downloaded-Packages=false",
    NULL,
};

static const char *const environment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "TERM=dumb",
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN=true",
    "UCF_FORCE_CONFFOLD=1",
    "APT_LISTCHANGES_FRONTEND=none",
    "NEEDRESTART_SUSPEND=1",
    NULL,
};

/* The guest uses the host's network: also the way out of it. */
static const char *const passed_on[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", NULL};

static const char **string_array (const struct names *names, size_t from)
{
  const char **array = xcalloc (names->count - from + 1, sizeof *array);

  for (size_t i = from; i < names->count; i++)
    array[i - from] = names->items[i];
  return array;
}

static void add_command (struct apt_commands *commands, const char *machine_id, bool update,
                         const char *const *args)
{
  size_t from = commands->strings.count;
  autofree char *id = xasprintf ("APT::Machine-ID=%s", machine_id);

  names_add (&commands->strings, "apt-get");
  for (const char *const *option = options; *option; option++)
    names_add (&commands->strings, *option);
  names_add (&commands->strings, "-o");
  names_add (&commands->strings, id);
  if (update)
    names_add (&commands->strings, "--error-on=any");
  for (; *args; args++)
    names_add (&commands->strings, *args);
  commands->args[commands->count] = string_array (&commands->strings, from);
  commands->items[commands->count] = (struct bundle_command){
      .args = commands->args[commands->count],
      .env = commands->env,
      .cwd = "/",
  };
  commands->count++;
}

void apt_commands_make (const struct vroot *root, const struct apt_request *request, bool refresh,
                        struct apt_commands *ret_commands)
{
  static const char *const update[] = {"update", NULL};
  autofree char *machine_id = xasprintf ("%s%s", root->id, root->id);
  struct apt_commands commands = {0};

  for (const char *const *variable = environment; *variable; variable++)
    names_add (&commands.strings, *variable);
  for (const char *const *name = passed_on; *name; name++) {
    const char *value = getenv (*name);
    autofree char *variable = value ? xasprintf ("%s=%s", *name, value) : NULL;

    if (variable)
      names_add (&commands.strings, variable);
  }
  commands.env = string_array (&commands.strings, 0);
  if (refresh)
    add_command (&commands, machine_id, /* update= */ true, update);
  add_command (&commands, machine_id, request->update, request->args);
  *ret_commands = commands;
}

void apt_reason_release (struct apt_reason *reason)
{
  free (reason->dpkg);
  free (reason->apt);
  free (reason->last);
  *reason = (struct apt_reason){0};
}

static bool starts_with (const char *s, const char *start)
{
  return strncmp (s, start, strlen (start)) == 0;
}

void apt_reason_line (struct apt_reason *reason, const char *line)
{
  const char *text = line + strspn (line, " \t");

  if (reason->dpkg_is_open) {
    char *longer = xasprintf ("%s %s", reason->dpkg, text);

    free (reason->dpkg);
    reason->dpkg = longer;
    reason->dpkg_is_open = false;
  } else if (!reason->dpkg &&
             (starts_with (line, "dpkg: error") || starts_with (line, "dpkg-deb: error"))) {
    reason->dpkg = xstrdup (line);
    reason->dpkg_is_open = starts_with (line, "dpkg: error processing");
  } else if (!reason->apt && starts_with (line, "E: ") &&
             !starts_with (line, "E: Sub-process /usr/bin/dpkg")) {
    reason->apt = xstrdup (line);
  }
  if (*text) {
    free (reason->last);
    reason->last = xstrdup (text);
  }
}

const char *apt_reason_text (const struct apt_reason *reason)
{
  return reason->dpkg ? reason->dpkg : reason->apt ? reason->apt : reason->last;
}
