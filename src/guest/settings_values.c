/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings that are words, numbers, lists of words and maps. */
#include "settings_internal.h"
#include "util/utf8.h"
#include <ctype.h>

enum { TEXT_MAX = 64 << 10 };

int setting_string (json_object *value, const char **ret_text, struct err *err)
{
  if (!json_object_is_type (value, json_type_string))
    return err_code (err, ERR_USAGE, "a string is expected, not %.60s",
                     json_object_to_json_string (value));
  const char *text = json_object_get_string (value);
  size_t len = (size_t) json_object_get_string_len (value);
  if (strlen (text) != len)
    return err_code (err, ERR_USAGE, "a NUL character in \"%.60s\"", text);
  if (!utf8_valid (text))
    return err_code (err, ERR_USAGE, "\"%.60s\" is not UTF-8", text);
  if (len > TEXT_MAX)
    return err_code (err, ERR_USAGE, "a string of more than %d bytes", TEXT_MAX);
  *ret_text = text;
  return 0;
}

bool setting_size (const char *text, int64_t *ret_size)
{
  static const char units[] = "KMGT";
  size_t digits = strspn (text, "0123456789");
  int shift = 0;
  char *end;

  if (!digits || digits > 18)
    return false;
  int64_t number = strtoll (text, &end, 10);
  if (*end) {
    const char *unit = strchr (units, toupper ((unsigned char) *end));

    if (!unit || end[1])
      return false;
    shift = 10 * (int) (unit - units + 1);
  }
  if (number > INT64_MAX >> shift)
    return false;
  *ret_size = number << shift;
  return true;
}

bool setting_path_is_clean (const char *path)
{
  if (*path != '/')
    return false;
  if (!path[1])
    return true;
  while (*path) {
    size_t len = strcspn (++path, "/");

    if (!len || (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
      return false;
    path += len;
  }
  return true;
}

int parse_hostname (const struct setting *setting, json_object *value, struct settings *settings,
                    struct err *err)
{
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0 || hostname_check (text, err) < 0)
    return -err->code;
  settings->hostname = xstrdup (text);
  return 0;
}

int parse_runtime (const struct setting *setting, json_object *value, struct settings *settings,
                   struct err *err)
{
  static const char *const known[] = {"auto", "crun", "runc", NULL};
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  const char *const *word = known;
  while (*word && strcmp (*word, text) != 0)
    word++;
  if (!*word && !setting_path_is_clean (text))
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is neither auto, crun, runc nor the absolute path of a runtime",
                     text);
  settings->runtime = xstrdup (text);
  return 0;
}

int parse_init (const struct setting *setting, json_object *value, struct settings *settings,
                struct err *err)
{
  const char *known[INIT_NONE + 2] = {0};
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  for (enum init_style style = INIT_AUTO; style <= INIT_NONE; style++) {
    known[style] = init_style_name (style);
    if (strcmp (known[style], text) == 0) {
      settings->init = style;
      return 0;
    }
  }
  const char *near = nearest_word (text, known);
  if (near)
    return err_code (err, ERR_USAGE, "\"%.60s\" is not known; did you mean \"%s\"?", text, near);
  return err_code (
      err, ERR_USAGE,
      "\"%.60s\" is not known; there are auto, systemd, sysvinit, openrc, busybox, plain and none",
      text);
}

/* The strings of the list @value, added to @names. */
static int take_strings (json_object *value, struct names *names, struct err *err)
{
  if (!json_object_is_type (value, json_type_array))
    return err_code (err, ERR_USAGE, "a list of strings is expected, not %.60s",
                     json_object_to_json_string (value));
  for (size_t i = 0; i < json_object_array_length (value); i++) {
    const char *text;

    if (setting_string (json_object_array_get_idx (value, i), &text, err) < 0)
      return -err->code;
    names_add (names, text);
  }
  return 0;
}

int parse_args (const struct setting *setting, json_object *value, struct settings *settings,
                struct err *err)
{
  struct names *args = setting_field (setting, settings);

  if (take_strings (value, args, err) < 0)
    return -err->code;
  if (args->count && !args->items[0][0])
    return err_code (err, ERR_USAGE, "the program's name is empty");
  return 0;
}

/* Calls @take for each member of the map @value; a number counts as its digits. */
static int each_member (json_object *value, struct settings *settings,
                        int (*take) (const char *key, const char *text, struct settings *settings,
                                     struct err *err),
                        struct err *err)
{
  if (!json_object_is_type (value, json_type_object))
    return err_code (err, ERR_USAGE, "an object is expected, not %.60s",
                     json_object_to_json_string (value));
  json_object_object_foreach (value, key, member)
  {
    const char *text;

    if (!utf8_valid (key))
      return err_code (err, ERR_USAGE, "\"%.60s\" is not UTF-8", key);
    if (json_object_is_type (member, json_type_int))
      text = json_object_get_string (member);
    else if (setting_string (member, &text, err) < 0)
      return err_wrap (err, "%.60s", key);
    if (take (key, text, settings, err) < 0)
      return -err->code;
  }
  return 0;
}

static void add_pair (struct names *names, const char *key, const char *text)
{
  autofree char *pair = xasprintf ("%s=%s", key, text);

  names_add (names, pair);
}

static int take_variable (const char *key, const char *text, struct settings *settings,
                          struct err *err)
{
  if (!*key || isdigit ((unsigned char) *key))
    return err_code (err, ERR_USAGE, "\"%.60s\" is no name of a variable", key);
  for (const char *p = key; *p; p++)
    if (!isalnum ((unsigned char) *p) && *p != '_')
      return err_code (err, ERR_USAGE, "\"%.60s\" is no name of a variable", key);
  add_pair (&settings->environment, key, text);
  return 0;
}

bool environment_has (const struct names *environment, const char *variable)
{
  size_t len = strcspn (variable, "=") + 1;

  for (size_t i = 0; i < environment->count; i++)
    if (strncmp (environment->items[i], variable, len) == 0)
      return true;
  return false;
}

int parse_environment (const struct setting *setting, json_object *value, struct settings *settings,
                       struct err *err)
{
  (void) setting;
  return each_member (value, settings, take_variable, err);
}

static const char *const capability_names[] = {
    "CAP_AUDIT_CONTROL",   "CAP_AUDIT_READ",   "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",   "CAP_BPF",          "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",           "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",          "CAP_FSETID",       "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",       "CAP_KILL",         "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN",    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",           "CAP_NET_ADMIN",    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",   "CAP_NET_RAW",      "CAP_PERFMON",
    "CAP_SETFCAP",         "CAP_SETGID",       "CAP_SETPCAP",
    "CAP_SETUID",          "CAP_SYSLOG",       "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",        "CAP_SYS_CHROOT",   "CAP_SYS_MODULE",
    "CAP_SYS_NICE",        "CAP_SYS_PACCT",    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",       "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",  "CAP_WAKE_ALARM",   NULL,
};

char *capability_normal (const char *word)
{
  bool prefixed = strncasecmp (word, "CAP_", 4) == 0 || strcasecmp (word, "ALL") == 0;
  char *name = xasprintf ("%s%s", prefixed ? "" : "CAP_", word);

  for (char *p = name; *p; p++)
    *p = (char) toupper ((unsigned char) *p);
  return name;
}

int parse_capabilities (const struct setting *setting, json_object *value,
                        struct settings *settings, struct err *err)
{
  struct names *names = setting_field (setting, settings);
  bool drop = names == &settings->capabilities_drop;
  autonames struct names words = {0};

  if (take_strings (value, &words, err) < 0)
    return -err->code;
  for (size_t i = 0; i < words.count; i++) {
    autofree char *name = capability_normal (words.items[i]);
    const char *const *known = capability_names;

    while (*known && strcmp (*known, name) != 0)
      known++;
    if (!*known && strcmp (name, "ALL") == 0 && !drop)
      return err_code (err, ERR_USAGE, "\"ALL\" can only be dropped: name those to add");
    if (!*known && strcmp (name, "ALL") != 0) {
      const char *near = nearest_word (name, capability_names);

      return near ? err_code (err, ERR_USAGE,
                              "there is no capability \"%.60s\"; did you mean \"%s\"?",
                              words.items[i], near)
                  : err_code (err, ERR_USAGE, "there is no capability \"%.60s\"", words.items[i]);
    }
    if (!names_has (names, name))
      names_add (names, name);
  }
  return 0;
}

static bool rlimit_value (const char *text, int64_t *ret_value)
{
  if (strcmp (text, "unlimited") == 0) {
    *ret_value = -1;
    return true;
  }
  return setting_size (text, ret_value);
}

static int take_rlimit (const char *key, const char *text, struct settings *settings,
                        struct err *err)
{
  static const char *const known[] = {
      "as",     "core",  "cpu", "data",   "fsize",  "locks",      "memlock", "msgqueue", "nice",
      "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",   NULL,
  };
  const char *colon = strchr (text, ':');
  autofree char *first = xstrndup (text, colon ? (size_t) (colon - text) : strlen (text));
  struct settings_rlimit limit = {0};
  const char *const *word = known;

  while (*word && strcmp (*word, key) != 0)
    word++;
  if (!*word) {
    const char *near = nearest_word (key, known);

    return near ? err_code (err, ERR_USAGE, "there is no limit \"%.60s\"; did you mean \"%s\"?",
                            key, near)
                : err_code (err, ERR_USAGE, "there is no limit \"%.60s\"", key);
  }
  if (!rlimit_value (first, &limit.soft) || !rlimit_value (colon ? colon + 1 : first, &limit.hard))
    return err_code (err, ERR_USAGE,
                     "%s: \"%.60s\" is no limit: NUMBER, SOFT:HARD or unlimited is expected", key,
                     text);
  if (limit.hard >= 0 && (limit.soft < 0 || limit.soft > limit.hard))
    return err_code (err, ERR_USAGE, "%s: the soft limit of \"%.60s\" is above the hard one", key,
                     text);
  limit.name = xasprintf ("RLIMIT_%s", key);
  for (char *p = limit.name; *p; p++)
    *p = (char) toupper ((unsigned char) *p);
  settings->rlimits = xreallocarray (settings->rlimits, settings->rlimit_count + 1, sizeof limit);
  settings->rlimits[settings->rlimit_count++] = limit;
  return 0;
}

int parse_rlimits (const struct setting *setting, json_object *value, struct settings *settings,
                   struct err *err)
{
  (void) setting;
  return each_member (value, settings, take_rlimit, err);
}

int parse_size (const struct setting *setting, json_object *value, struct settings *settings,
                struct err *err)
{
  int64_t *size = setting_field (setting, settings);
  const char *text;

  if (json_object_is_type (value, json_type_int))
    text = json_object_get_string (value);
  else if (setting_string (value, &text, err) < 0)
    return -err->code;
  if (!setting_size (text, size))
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is not a size: bytes, or a number with K, M, G or T, is expected",
                     text);
  if (*size < setting->minimum)
    return err_code (err, ERR_USAGE, "\"%s\" is less than nothing can run with: %ldM at least",
                     text, (long) (setting->minimum >> 20));
  return 0;
}

int parse_cpus (const struct setting *setting, json_object *value, struct settings *settings,
                struct err *err)
{
  (void) setting;
  if (!json_object_is_type (value, json_type_int) && !json_object_is_type (value, json_type_double))
    return err_code (err, ERR_USAGE, "a number such as 1.5 is expected, not %.60s",
                     json_object_to_json_string (value));
  double cpus = json_object_get_double (value);
  if (!(cpus >= 0.01 && cpus <= 8192))
    return err_code (err, ERR_USAGE, "%.60s is not between 0.01 and 8192",
                     json_object_to_json_string (value));
  settings->cpus_milli = (int64_t) (cpus * 1000 + 0.5);
  return 0;
}

int parse_number (const struct setting *setting, json_object *value, struct settings *settings,
                  struct err *err)
{
  int64_t *field = setting_field (setting, settings);

  if (!json_object_is_type (value, json_type_int))
    return err_code (err, ERR_USAGE, "a whole number is expected, not %.60s",
                     json_object_to_json_string (value));
  int64_t number = json_object_get_int64 (value);
  if (number < setting->minimum || number > setting->maximum)
    return err_code (err, ERR_USAGE, "%.60s is not between %ld and %ld",
                     json_object_to_json_string (value), (long) setting->minimum,
                     (long) setting->maximum);
  *field = number;
  return 0;
}

int parse_switch (const struct setting *setting, json_object *value, struct settings *settings,
                  struct err *err)
{
  bool *field = setting_field (setting, settings);

  if (!json_object_is_type (value, json_type_boolean))
    return err_code (err, ERR_USAGE, "true or false is expected, not %.60s",
                     json_object_to_json_string (value));
  *field = json_object_get_boolean (value);
  return 0;
}

static int take_sysctl (const char *key, const char *text, struct settings *settings,
                        struct err *err)
{
  /* Those that belong to the guest's namespaces (namespaces(7)): others are the host's. */
  static const char *const exact[] = {
      "kernel.domainname", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",          "kernel.sem",
      "kernel.shmall",     "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", NULL,
  };
  const char *const *word = exact;
  bool known = strncmp (key, "net.", 4) == 0 || strncmp (key, "fs.mqueue.", 10) == 0;

  while (*word && strcmp (*word, key) != 0)
    word++;
  if (!known && !*word)
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is not a guest's own: net.*, fs.mqueue.*, and kernel.msg*, sem, "
                     "shm* and domainname are",
                     key);
  for (const char *p = key; *p; p++)
    if ((!isalnum ((unsigned char) *p) && !strchr ("._-/", *p)) ||
        (strchr ("./", *p) && (!p[1] || strchr ("./", p[1]))))
      return err_code (err, ERR_USAGE, "\"%.60s\" is no name of a sysctl", key);
  if (!*text || strpbrk (text, "\n\r"))
    return err_code (err, ERR_USAGE, "%s: a value on one line is expected", key);
  add_pair (&settings->sysctls, key, text);
  return 0;
}

int parse_sysctls (const struct setting *setting, json_object *value, struct settings *settings,
                   struct err *err)
{
  (void) setting;
  return each_member (value, settings, take_sysctl, err);
}

int parse_depends (const struct setting *setting, json_object *value, struct settings *settings,
                   struct err *err)
{
  autonames struct names words = {0};

  (void) setting;
  if (take_strings (value, &words, err) < 0)
    return -err->code;
  for (size_t i = 0; i < words.count; i++) {
    if (name_check (words.items[i], "guest", err) < 0)
      return -err->code;
    if (names_has (&settings->depends, words.items[i]))
      return err_code (err, ERR_USAGE, "the guest %s is named twice", words.items[i]);
    names_add (&settings->depends, words.items[i]);
  }
  return 0;
}

static int take_label (const char *key, const char *text, struct settings *settings,
                       struct err *err)
{
  size_t len = strlen (key);

  if (!len || len > 64 || !isalnum ((unsigned char) key[0]) ||
      !isalnum ((unsigned char) key[len - 1]))
    return err_code (err, ERR_USAGE,
                     "\"%.70s\" is no key of a label: it begins and ends with a letter or digit, "
                     "and has at most 64 characters",
                     key);
  for (const char *p = key; *p; p++)
    if (!isalnum ((unsigned char) *p) && !strchr ("._-/", *p))
      return err_code (err, ERR_USAGE,
                       "\"%.70s\" is no key of a label: letters, digits, \".\", \"_\", \"-\" and "
                       "\"/\" are allowed",
                       key);
  if (strlen (text) > 256)
    return err_code (err, ERR_USAGE, "%s: the value is longer than 256 bytes", key);
  for (const char *p = text; *p; p++)
    if (iscntrl ((unsigned char) *p))
      return err_code (err, ERR_USAGE, "%s: a control character in the value", key);
  add_pair (&settings->labels, key, text);
  return 0;
}

int parse_labels (const struct setting *setting, json_object *value, struct settings *settings,
                  struct err *err)
{
  (void) setting;
  if (each_member (value, settings, take_label, err) < 0)
    return -err->code;
  names_sort_unique (&settings->labels);
  return 0;
}

int parse_notes (const struct setting *setting, json_object *value, struct settings *settings,
                 struct err *err)
{
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  settings->notes = xstrdup (text);
  return 0;
}
