/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lxc_internal.h"
#include "util/strbuf.h"
#include <ctype.h>

static void take_text (struct lxc *lxc, const char *text);

static void take_hostname (struct lxc *lxc, const char *key, char *value)
{
  translation_set (lxc->translation, key, value, "hostname=%s", value);
}

static void take_rootfs (struct lxc *lxc, const char *key, char *value)
{
  struct translation *translation = lxc->translation;
  const char *path = strncmp (value, "dir:", 4) == 0 ? value + 4 : value;

  /* "overlay:", "lvm:", "zfs:", … */
  if (*path != '/') {
    translation_leave (translation, key, value,
                       "only directories can be adopted: mount it, or copy it into one");
    return;
  }
  free (translation->rootfs);
  translation->rootfs = xstrdup (path);
}

/* "u 0 100000 65536"; "b" is both. */
static bool parse_idmap (const char *text, struct idmap *map)
{
  uint32_t numbers[3];
  const char *at = text + 1;

  if (!*text || !strchr ("ugb", *text))
    return false;
  for (size_t i = 0; i < 3; i++) {
    size_t gap = strspn (at, " \t"), digits = strspn (at + gap, "0123456789");
    unsigned long long number = digits <= 10 ? strtoull (at + gap, NULL, 10) : UINT64_MAX;

    if (!gap || !digits || number > UINT32_MAX)
      return false;
    numbers[i] = (uint32_t) number;
    at += gap + digits;
  }
  *map = (struct idmap){*text != 'g', *text != 'u', numbers[0], numbers[1], numbers[2]};
  return !*at;
}

static void take_idmap (struct lxc *lxc, const char *key, char *value)
{
  struct idmap map;

  if (parse_idmap (value, &map))
    translation_idmap (lxc->translation, key, value, &map);
  else
    translation_leave (lxc->translation, key, value, "it is no map of ids");
}

static void take_arch (struct lxc *lxc, const char *key, char *value)
{
  static const char *const small[] = {"i386",   "i486",  "i586",  "i686",    "x86", "linux32",
                                      "armv7l", "armhf", "armel", "powerpc", "ppc", NULL};

  for (size_t i = 0; small[i]; i++)
    if (strcasecmp (small[i], value) == 0)
      translation_leave (lxc->translation, key, value,
                         "programs of 32 bits run, but uname tells the host's machine");
}

/* Calls @take for each word. */
static void each_word (struct lxc *lxc, const char *key, char *value, lxc_take_fn *take)
{
  for (char *word = value, *next; *word; word = next) {
    size_t len = strcspn (word, ", \t");

    next = word + len + strspn (word + len, ", \t");
    word[len] = '\0';
    if (len)
      take (lxc, key, word);
  }
}

static void take_capability (struct lxc *lxc, const char *key, char *word)
{
  if (strcmp (word, "none") != 0)
    translation_capability (lxc->translation, key, word,
                            /* drop= */ strcmp (key, "lxc.cap.drop") == 0);
}

static void take_capabilities (struct lxc *lxc, const char *key, char *value)
{
  if (strcmp (key, "lxc.cap.keep") == 0 && !lxc->kept) {
    lxc->kept = true;
    translation_capability (lxc->translation, key, "ALL", /* drop= */ true);
  }
  each_word (lxc, key, value, take_capability);
}

static void take_environment (struct lxc *lxc, const char *key, char *value)
{
  (void) key;
  translation_variable (lxc->translation, key, value);
}

static void take_command (struct lxc *lxc, const char *key, char *value)
{
  /* An init of its own is what a guest starts without being told. */
  if (!translation_is_init (value))
    translation_set (lxc->translation, key, value, "command=%s", value);
}

static void take_user (struct lxc *lxc, const char *key, char *value)
{
  if (strcmp (value, "0") == 0)
    return;
  if (strcmp (key, "lxc.init.uid") == 0)
    translation_set (lxc->translation, key, value, "user=%s", value);
  else
    translation_leave (lxc->translation, key, value, "set user=USER:GROUP");
}

static void take_working_dir (struct lxc *lxc, const char *key, char *value)
{
  translation_set (lxc->translation, key, value, "working_dir=%s", value);
}

static void take_stop_signal (struct lxc *lxc, const char *key, char *value)
{
  translation_set (lxc->translation, key, value, "stop_signal=%s", value);
}

static void take_autostart (struct lxc *lxc, const char *key, char *value)
{
  translation_set (lxc->translation, key, value, "autostart=%s",
                   strcmp (value, "0") == 0 ? "false" : "true");
}

/* There the lower starts first, here the higher. */
static void take_order (struct lxc *lxc, const char *key, char *value)
{
  bool negative = *value == '-';
  const char *digits = value + negative;

  translation_set (lxc->translation, key, value, "autostart_priority=%s%s",
                   negative || strcmp (digits, "0") == 0 ? "" : "-", digits);
}

static void take_group (struct lxc *lxc, const char *key, char *word)
{
  translation_set (lxc->translation, key, word, "labels+=lxc.group.%s=yes", word);
}

static void take_groups (struct lxc *lxc, const char *key, char *value)
{
  each_word (lxc, key, value, take_group);
}

static void take_mount (struct lxc *lxc, const char *key, char *value)
{
  translation_fstab_line (lxc->translation, key, value);
}

static void take_fstab_line (struct translation *translation, char *line, void *data)
{
  translation_fstab_line (translation, data, line);
}

static void take_fstab (struct lxc *lxc, const char *key, char *value)
{
  autofree char *text = NULL;
  char name[] = "lxc.mount.fstab";

  if (!lxc->files || lxc->files->read (lxc->files->data, value, &text) < 0)
    translation_leave (lxc->translation, key, value,
                       "it is not read, as it is not in the container's directory: set mounts+=");
  else
    translation_lines (lxc->translation, text, "#", take_fstab_line, name);
}

static void take_include (struct lxc *lxc, const char *key, char *value)
{
  autofree char *text = NULL;

  if (lxc->depth >= LXC_INCLUDE_DEPTH_MAX || lxc->includes >= LXC_INCLUDES_MAX) {
    translation_leave (lxc->translation, key, value, "too many files include one another");
    return;
  }
  lxc->includes++;
  if (!lxc->files || lxc->files->read (lxc->files->data, value, &text) < 0) {
    translation_leave (lxc->translation, key, value,
                       "nothing is included that is not below /usr/share/lxc or the container's "
                       "directory");
    return;
  }
  lxc->depth++;
  take_text (lxc, text);
  lxc->depth--;
}

static void take_rlimit (struct lxc *lxc, const char *key, char *value)
{
  translation_set (lxc->translation, key, value, "rlimits.%s=%s", key + strlen ("lxc.prlimit."),
                   value);
}

static void take_sysctl (struct lxc *lxc, const char *key, char *value)
{
  translation_set (lxc->translation, key, value, "sysctls.%s=%s", key + strlen ("lxc.sysctl."),
                   value);
}

/* vguest does for every guest what this says, or it says nothing about a container. */
static void take_nothing (struct lxc *lxc, const char *key, char *value)
{
  (void) lxc;
  (void) key;
  (void) value;
}

static const char same_profile[] =
    "all guests have the same profile: seccomp, masked paths and bounded capabilities";
static const char of_lxc[] = "it is about LXC itself";
static const char no_hooks[] =
    "nothing of the host is run for a guest: see depends and health, or use a service of the host";

/* A key that ends with a dot stands for all that begin with it; others also for all behind them and
 * a dot. The first that fits holds. */
static const struct {
  const char *key;
  lxc_take_fn *take;
  const char *why; /* without take: why it has no counterpart */
} keys[] = {
    {"lxc.include", take_include, NULL},
    {"lxc.uts.name", take_hostname, NULL},
    {"lxc.utsname", take_hostname, NULL},
    {"lxc.rootfs.path", take_rootfs, NULL},
    {"lxc.rootfs.mount", take_nothing, NULL},
    {"lxc.rootfs.backend", take_nothing, NULL},
    {"lxc.rootfs.managed", take_nothing, NULL},
    {"lxc.rootfs.options", NULL, "the overlay of a guest has its own options"},
    {"lxc.rootfs", take_rootfs, NULL},
    {"lxc.idmap", take_idmap, NULL},
    {"lxc.id_map", take_idmap, NULL},
    {"lxc.arch", take_arch, NULL},
    {"lxc.cgroup.", lxc_take_cgroup, NULL},
    {"lxc.cgroup2.", lxc_take_cgroup, NULL},
    {"lxc.net.", lxc_take_network, NULL},
    {"lxc.network.", lxc_take_network, NULL},
    {"lxc.prlimit.", take_rlimit, NULL},
    {"lxc.limit.", NULL, "it is lxc.prlimit. since LXC 2.1: set rlimits.NAME"},
    {"lxc.sysctl.", take_sysctl, NULL},
    {"lxc.cap.drop", take_capabilities, NULL},
    {"lxc.cap.keep", take_capabilities, NULL},
    {"lxc.mount.entry", take_mount, NULL},
    {"lxc.mount.fstab", take_fstab, NULL},
    {"lxc.mount.auto", take_nothing, NULL},
    {"lxc.mount", take_fstab, NULL},
    {"lxc.autodev", take_nothing, NULL},
    {"lxc.kmsg", take_nothing, NULL},
    {"lxc.tty", take_nothing, NULL},
    {"lxc.pts", take_nothing, NULL},
    {"lxc.pty", take_nothing, NULL},
    {"lxc.devttydir", take_nothing, NULL},
    {"lxc.environment", take_environment, NULL},
    {"lxc.init.cmd", take_command, NULL},
    {"lxc.init_cmd", take_command, NULL},
    {"lxc.init.uid", take_user, NULL},
    {"lxc.init.gid", take_user, NULL},
    {"lxc.init.cwd", take_working_dir, NULL},
    {"lxc.signal.halt", take_stop_signal, NULL},
    {"lxc.haltsignal", take_stop_signal, NULL},
    {"lxc.signal.", NULL, "vguest kill -s SIGNAL sends any"},
    {"lxc.start.auto", take_autostart, NULL},
    {"lxc.start.order", take_order, NULL},
    {"lxc.start.delay", NULL, "guests wait for one another with depends and health"},
    {"lxc.group", take_groups, NULL},
    {"lxc.console", NULL, "its output is in vguest logs, its terminal is vguest console"},
    {"lxc.log", NULL, of_lxc},
    {"lxc.loglevel", NULL, of_lxc},
    {"lxc.logfile", NULL, of_lxc},
    {"lxc.monitor", NULL, of_lxc},
    {"lxc.hook", NULL, no_hooks},
    {"lxc.apparmor", NULL, same_profile},
    {"lxc.aa_", NULL, same_profile},
    {"lxc.selinux", NULL, same_profile},
    {"lxc.se_context", NULL, same_profile},
    {"lxc.seccomp", NULL, same_profile},
    {"lxc.no_new_privs", NULL, same_profile},
    {"lxc.ephemeral", NULL, "a guest is kept: build another one and delete it"},
    {"lxc.namespace", NULL, "a guest has namespaces of its own, but for network \"host\""},
    {"lxc.time", NULL, "a guest has the host's clocks"},
};

static bool key_fits (const char *key, const char *pattern)
{
  size_t len = strlen (pattern);

  if (strncmp (key, pattern, len) != 0)
    return false;
  return !key[len] || key[len] == '.' || strchr ("._", pattern[len - 1]);
}

static void take_line (struct translation *translation, char *line, void *data)
{
  struct lxc *lxc = data;
  char *equals = strchr (line, '=');

  if (!equals) {
    translation_leave (translation, line, "", "it is no KEY = VALUE");
    return;
  }
  *equals = '\0';
  const char *key = translation_trim (line);
  char *value = translation_trim (equals + 1);
  size_t len = strlen (value);
  /* Quotes around it are not part of it. */
  if (len > 1 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
    value[len - 1] = '\0';
    value++;
  }
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (!key_fits (key, keys[i].key))
      continue;
    /* An empty value takes back what was included, or sets nothing. */
    if (!*value)
      translation_leave (translation, key, value, "it takes back what is set before: look at it");
    else if (keys[i].take)
      keys[i].take (lxc, key, value);
    else
      translation_leave (translation, key, value, keys[i].why);
    return;
  }
  translation_leave (translation, key, value, "it is not known");
}

static void take_text (struct lxc *lxc, const char *text)
{
  translation_lines (lxc->translation, text, "#", take_line, lxc);
}

void lxc_translate (struct translation *translation, const char *text,
                    const struct lxc_files *files)
{
  struct lxc lxc = {
      .translation = translation,
      .files = files,
      .memory = -1,
      .memory_and_swap = -1,
      .cpu_quota = -1,
      .cpu_period = 100000,
  };

  take_text (&lxc, text);
  lxc_finish_limits (&lxc);
  if (!lxc.kept)
    translation_leave (translation, "lxc.cap", "",
                       "LXC leaves all capabilities but those that are dropped; a guest has the "
                       "default set of vguest-guest(5): set capabilities.add+= what is missing");
}
