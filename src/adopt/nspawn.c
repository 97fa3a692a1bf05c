/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nspawn.h"
#include "util/strbuf.h"
#include <ctype.h>

enum { WORDS_MAX = 256 };

struct nspawn {
  struct translation *translation; /* borrowed */
  char *section;                   /* owned; or NULL */
  char *parameters;                /* owned; or NULL */
  char *ports[WORDS_MAX];          /* owned */
  size_t port_count;
  bool no_boot;     /* Boot=no: Parameters are a command */
  bool own_network; /* Private=, VirtualEthernet=, … */
  bool host_network;
};

/* The next word of @text, with quotes and backslashes as systemd has them: the caller's; NULL at
 * the end. */
static char *next_word (const char **text)
{
  const char *at = *text;
  autostrbuf struct strbuf word = STRBUF_INIT (TRANSLATION_TEXT_MAX);
  char quote = '\0';

  while (isspace ((unsigned char) *at))
    at++;
  bool any = *at != '\0';

  for (; *at && (quote || !isspace ((unsigned char) *at)); at++) {
    if (quote ? *at == quote : *at == '"' || *at == '\'')
      quote = quote ? '\0' : *at;
    else if (*at == '\\' && at[1])
      strbuf_add (&word, ++at, 1);
    else
      strbuf_add (&word, at, 1);
  }
  *text = at;
  if (!any || word.failed)
    return NULL;
  return word.len ? strbuf_steal (&word) : xstrdup ("");
}

typedef void nspawn_take_fn (struct nspawn *nspawn, const char *key, char *value);

static void take_boot (struct nspawn *nspawn, const char *key, char *value)
{
  (void) key;
  nspawn->no_boot = !translation_true (value);
}

static void take_parameters (struct nspawn *nspawn, const char *key, char *value)
{
  (void) key;
  free (nspawn->parameters);
  nspawn->parameters = xstrdup (value);
}

static void take_environment (struct nspawn *nspawn, const char *key, char *value)
{
  const char *at = value;

  for (;;) {
    autofree char *word = next_word (&at);

    if (!word)
      return;
    translation_variable (nspawn->translation, key, word);
  }
}

static void take_user (struct nspawn *nspawn, const char *key, char *value)
{
  translation_set (nspawn->translation, key, value, "user=%s", value);
}

static void take_working_dir (struct nspawn *nspawn, const char *key, char *value)
{
  translation_set (nspawn->translation, key, value, "working_dir=%s", value);
}

static void take_signal (struct nspawn *nspawn, const char *key, char *value)
{
  translation_set (nspawn->translation, key, value, "stop_signal=%s", value);
}

static void take_hostname (struct nspawn *nspawn, const char *key, char *value)
{
  translation_set (nspawn->translation, key, value, "hostname=%s", value);
}

static void take_capability (struct nspawn *nspawn, const char *key, char *value)
{
  const char *at = value;

  for (;;) {
    autofree char *word = next_word (&at);

    if (!word)
      return;
    if (strcmp (word, "all") == 0 && strcmp (key, "Capability") == 0)
      translation_leave (nspawn->translation, key, value,
                         "no guest gets all capabilities: set capabilities.add+= those it needs");
    else
      translation_capability (nspawn->translation, key, word,
                              /* drop= */ strcmp (key, "DropCapability") == 0);
  }
}

/* LimitNOFILE=1024:4096, LimitAS=infinity: setrlimit(2), named as in systemd.exec(5). */
static void take_limit (struct nspawn *nspawn, const char *key, char *value)
{
  autostrbuf struct strbuf text = STRBUF_INIT (TRANSLATION_TEXT_MAX);
  autofree char *name = xstrdup (key + strlen ("Limit"));

  for (char *p = name; *p; p++)
    *p = (char) tolower ((unsigned char) *p);
  for (const char *at = value; *at;) {
    size_t len = strcspn (at, ":");

    if (len == 8 && strncmp (at, "infinity", 8) == 0)
      strbuf_adds (&text, "unlimited");
    else
      strbuf_add (&text, at, len);
    at += len;
    if (*at) {
      strbuf_adds (&text, ":");
      at++;
    }
  }
  translation_set (nspawn->translation, key, value, "rlimits.%s=%s", name, strbuf_str (&text));
}

/* "no", "yes" (the ids are in the inodes' own: of the first one or 65536 in a row), "identity",
 * "pick" (found by the owner of the top directory), "managed", "START[:COUNT]". */
static void take_private_users (struct nspawn *nspawn, const char *key, char *value)
{
  static const char *const same[] = {"identity", "no", "false", "off", "0", "n", "f", NULL};
  struct idmap map = {.users = true, .groups = true, .count = 65536};
  size_t digits = strspn (value, "0123456789");

  bool picked = true;
  for (size_t i = 0; same[i]; i++)
    picked &= strcmp (same[i], value) != 0;
  nspawn->translation->pick_ids = picked;
  if (!picked || !digits || digits > 10 || (value[digits] && value[digits] != ':') ||
      strcmp (value, "1") == 0)
    return;
  unsigned long long start = strtoull (value, NULL, 10);
  int64_t count = value[digits] ? translation_number (value + digits + 1) : 65536;
  nspawn->translation->pick_ids = false;
  if (start > UINT32_MAX || count <= 0 || count > UINT32_MAX) {
    translation_leave (nspawn->translation, key, value, "it is no range of ids");
    return;
  }
  map.host = (uint32_t) start;
  map.count = (uint32_t) count;
  if (start)
    translation_idmap (nspawn->translation, key, value, &map);
}

/* "SOURCE[:TARGET[:OPTIONS]]" with "\:" for a colon that is part of a path; "+" in front is below
 * the container's own tree, "-" makes it optional. Fills @parts. */
static size_t split_bind (const char *value, struct strbuf parts[3])
{
  size_t count = 0;

  for (const char *at = value; *at; at++) {
    if (*at == ':' && count < 2)
      count++;
    else if (*at == '\\' && at[1] == ':')
      strbuf_add (&parts[count], ++at, 1);
    else
      strbuf_add (&parts[count], at, 1);
  }
  return count + 1;
}

static void bind_mount (struct nspawn *nspawn, const char *key, const char *value,
                        const struct strbuf *parts, size_t count)
{
  const char *source = strbuf_str (&parts[0]);
  autostrbuf struct strbuf options = STRBUF_INIT (TRANSLATION_TEXT_MAX);
  bool optional = *source == '-';

  source += optional;
  if (*source != '/') {
    translation_leave (nspawn->translation, key, value,
                       *source == '+' ? "its source is in the container itself: make a symlink"
                                      : "its source is no absolute path of the host");
    return;
  }
  strbuf_adds (&options, strcmp (key, "BindReadOnly") == 0 ? "ro,rbind" : "rbind");
  if (optional)
    strbuf_adds (&options, ",optional");
  if (count > 2)
    strbuf_addf (&options, ",%s", strbuf_str (&parts[2]));
  translation_mount (nspawn->translation, key, value, source,
                     count > 1 && parts[1].len ? strbuf_str (&parts[1]) : source,
                     strbuf_str (&options));
}

static void take_bind (struct nspawn *nspawn, const char *key, char *value)
{
  struct strbuf parts[3] = {STRBUF_INIT (TRANSLATION_TEXT_MAX), STRBUF_INIT (TRANSLATION_TEXT_MAX),
                            STRBUF_INIT (TRANSLATION_TEXT_MAX)};
  size_t count = split_bind (value, parts);

  if (strcmp (key, "TemporaryFileSystem") == 0)
    translation_mount (nspawn->translation, key, value, NULL, strbuf_str (&parts[0]),
                       count > 1 ? strbuf_str (&parts[1]) : "");
  else
    bind_mount (nspawn, key, value, parts, count);
  for (size_t i = 0; i < 3; i++)
    strbuf_release (&parts[i]);
}

static void take_network (struct nspawn *nspawn, const char *key, char *value)
{
  static const char *const switches[] = {"Private", "VirtualEthernet", NULL};
  bool is_switch = false;

  for (size_t i = 0; switches[i]; i++)
    is_switch |= strcmp (switches[i], key) == 0;
  if (is_switch && !translation_true (value)) {
    nspawn->host_network = true;
    return;
  }
  nspawn->own_network = true;
  if (!is_switch)
    translation_leave (nspawn->translation, key, value,
                       "a CNI network says how interfaces are made: see vguest-network(7)");
}

/* "[tcp:|udp:]HOST[:CONTAINER]". */
static void take_port (struct nspawn *nspawn, const char *key, char *value)
{
  if (nspawn->port_count == WORDS_MAX)
    translation_leave (nspawn->translation, key, value, "there are too many");
  else
    nspawn->ports[nspawn->port_count++] = xstrdup (value);
}

static void take_nothing (struct nspawn *nspawn, const char *key, char *value)
{
  (void) nspawn;
  (void) key;
  (void) value;
}

static const char same_profile[] = "all guests have the same profile";
static const char own_file[] = "the guest's own file stays as it is";

static const struct {
  const char *section;
  const char *key; /* one that ends with "*" stands for all that begin so */
  nspawn_take_fn *take;
  const char *why;
} keys[] = {
    {"Exec", "Boot", take_boot, NULL},
    {"Exec", "Parameters", take_parameters, NULL},
    {"Exec", "ProcessTwo", take_nothing, NULL},
    {"Exec", "Environment", take_environment, NULL},
    {"Exec", "User", take_user, NULL},
    {"Exec", "WorkingDirectory", take_working_dir, NULL},
    {"Exec", "KillSignal", take_signal, NULL},
    {"Exec", "Hostname", take_hostname, NULL},
    {"Exec", "Capability", take_capability, NULL},
    {"Exec", "DropCapability", take_capability, NULL},
    {"Exec", "Limit*", take_limit, NULL},
    {"Exec", "PrivateUsers", take_private_users, NULL},
    {"Exec", "NotifyReady", NULL, "set health to a command that tells when it is ready"},
    {"Exec", "PivotRoot", NULL, "the tree itself is the guest's root"},
    {"Exec", "Ephemeral", NULL, "a guest is kept: build another one and delete it"},
    {"Exec", "MachineID", NULL, "it is what /etc/machine-id of the guest has"},
    {"Exec", "Personality", NULL, "uname tells the host's machine"},
    {"Exec", "SystemCallFilter", NULL, same_profile},
    {"Exec", "NoNewPrivileges", NULL, same_profile},
    {"Exec", "AmbientCapability", NULL, "set user and capabilities.add"},
    {"Exec", "OOMScoreAdjust", NULL, "the limit of memory is the guest's own: set memory"},
    {"Exec", "CPUAffinity", NULL, "guests are not bound to processors: set cpus or cpu_weight"},
    {"Exec", "ResolvConf", NULL, own_file},
    {"Exec", "Timezone", NULL, own_file},
    {"Exec", "LinkJournal", NULL, "its journal is in the guest: vguest exec -- journalctl"},
    {"Exec", "SuppressSync", NULL, "a guest's data is synced when it says so"},
    {"Files", "Bind", take_bind, NULL},
    {"Files", "BindReadOnly", take_bind, NULL},
    {"Files", "TemporaryFileSystem", take_bind, NULL},
    {"Files", "ReadOnly", NULL, "a guest can be written: set mounts+= for parts that shall not"},
    {"Files", "Volatile", NULL, "a guest is kept: set mounts+=tmpfs: for parts that shall not"},
    {"Files", "Overlay*", NULL, "mount it on the host, and set mounts+="},
    {"Files", "Inaccessible", NULL, "set mounts+=tmpfs: over it"},
    {"Files", "BindUser", NULL, "add the user in the guest, and set mounts+= for its home"},
    {"Files", "PrivateUsersChown", take_nothing, NULL},
    {"Files", "PrivateUsersOwnership", take_nothing, NULL},
    {"Network", "Port", take_port, NULL},
    {"Network", "*", take_network, NULL},
};

static bool key_fits (const char *key, const char *pattern)
{
  size_t len = strlen (pattern);

  if (len && pattern[len - 1] == '*')
    return strncmp (key, pattern, len - 1) == 0;
  return strcmp (key, pattern) == 0;
}

static void take_setting (struct nspawn *nspawn, const char *key, char *value)
{
  const char *section = nspawn->section ? nspawn->section : "";

  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (strcmp (keys[i].section, section) != 0 || !key_fits (key, keys[i].key))
      continue;
    if (!*value)
      return; /* unset */
    if (keys[i].take)
      keys[i].take (nspawn, key, value);
    else
      translation_leave (nspawn->translation, key, value, keys[i].why);
    return;
  }
  translation_leave (nspawn->translation, key, value, "it is not known");
}

static void take_line (struct translation *translation, char *line, void *data)
{
  struct nspawn *nspawn = data;
  size_t len = strlen (line);

  if (*line == '[' && line[len - 1] == ']') {
    free (nspawn->section);
    nspawn->section = xstrndup (line + 1, len > 2 ? len - 2 : 0);
    return;
  }
  char *equals = strchr (line, '=');
  if (!equals) {
    translation_leave (translation, line, "", "it is no KEY=VALUE");
    return;
  }
  *equals = '\0';
  take_setting (nspawn, translation_trim (line), translation_trim (equals + 1));
}

static void finish_command (struct nspawn *nspawn)
{
  const char *at = nspawn->parameters;

  if (!at)
    return;
  if (!nspawn->no_boot) {
    translation_leave (nspawn->translation, "Parameters", at, "the guest's init gets no arguments");
    return;
  }
  json_object *list = json_object_new_array ();
  if (!list)
    err_out_of_memory ();
  for (;;) {
    autofree char *word = next_word (&at);

    if (!word)
      break;
    json_append (list, json_object_new_string (word));
  }
  translation_set_json (nspawn->translation, "Parameters", nspawn->parameters, "command", list);
}

static void finish_port (struct nspawn *nspawn, const char *text)
{
  const char *at = text;
  const char *protocol = "tcp";
  const char *colon = strchr (text, ':');

  if (strncmp (text, "tcp:", 4) == 0 || strncmp (text, "udp:", 4) == 0) {
    protocol = *text == 'u' ? "udp" : "tcp";
    at += 4;
    colon = strchr (at, ':');
  }
  if (!nspawn->translation->cni)
    translation_leave (nspawn->translation, "Port", text,
                       "it belongs to a network: set network.cni, and then network.ports+=");
  else if (colon)
    translation_set (nspawn->translation, "Port", text, "network.ports+=%s/%s", at, protocol);
  else
    translation_set (nspawn->translation, "Port", text, "network.ports+=%s:%s/%s", at, at,
                     protocol);
}

/* A backslash at the end of a line joins it with the next. The caller's. */
static char *join_lines (const char *text)
{
  char *joined = xstrdup (text);

  for (char *at = joined; *at; at++)
    if (at[0] == '\\' && at[1] == '\n')
      at[0] = at[1] = ' ';
  return joined;
}

void nspawn_translate (struct translation *translation, const char *text)
{
  struct nspawn nspawn = {.translation = translation};
  autofree char *joined = join_lines (text);

  /* systemd-nspawn@.service says -U, which is "pick". */
  translation->pick_ids = true;
  translation_lines (translation, joined, "#;", take_line, &nspawn);
  finish_command (&nspawn);
  if (nspawn.own_network || !nspawn.host_network)
    translation_own_network (translation, "network", nspawn.own_network ? "private" : "veth");
  for (size_t i = 0; i < nspawn.port_count; i++) {
    finish_port (&nspawn, nspawn.ports[i]);
    free (nspawn.ports[i]);
  }
  translation_leave (translation, "limits", "",
                     "memory, CPU and tasks are limited in systemd-nspawn@NAME.service: see "
                     "systemctl cat, and set memory, cpus, pids");
  free (nspawn.section);
  free (nspawn.parameters);
}
