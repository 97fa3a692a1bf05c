/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "settings_internal.h"
#include "guest/identity.h"
#include "util/strbuf.h"
#include <pthread.h>

#define FIELD(name) offsetof (struct settings, name)

const struct setting settings_table[] = {
    {.key = "hostname", .type = SETTING_TEXT, .parse = parse_hostname, .help = "the host name"},
    {.key = "runtime",
     .type = SETTING_TEXT,
     .parse = parse_runtime,
     .fallback = "",
     .help = "the OCI runtime: auto, crun, runc or a path"},
    {.key = "init",
     .type = SETTING_TEXT,
     .parse = parse_init,
     .fallback = "auto",
     .help = "auto, systemd, sysvinit, openrc, busybox, plain or none"},
    {.key = "command",
     .type = SETTING_ARGS,
     .parse = parse_args,
     .field = FIELD (command),
     .fallback = "",
     .help = "what a plain guest runs"},
    {.key = "user",
     .type = SETTING_TEXT,
     .parse = parse_user,
     .fallback = "",
     .help = "whom a plain guest's command runs as, as USER:GROUP"},
    {.key = "working_dir",
     .type = SETTING_TEXT,
     .parse = parse_working_dir,
     .fallback = "",
     .help = "where a plain guest's command starts"},
    {.key = "stop_signal",
     .type = SETTING_TEXT,
     .parse = parse_stop_signal,
     .fallback = "",
     .help = "the signal a plain guest's command ends by, as SIGQUIT"},
    {.key = "environment",
     .type = SETTING_MAP,
     .parse = parse_environment,
     .fallback = "",
     .help = "variables of the first process and of commands"},
    {.key = "capabilities",
     .type = SETTING_GROUP,
     .fallback = "",
     .help = "what is added to and dropped from the default set"},
    {.key = "capabilities.add",
     .type = SETTING_WORDS,
     .parse = parse_capabilities,
     .field = FIELD (capabilities_add),
     .fallback = "",
     .normal = capability_normal,
     .help = "capabilities beside the default set"},
    {.key = "capabilities.drop",
     .type = SETTING_WORDS,
     .parse = parse_capabilities,
     .field = FIELD (capabilities_drop),
     .fallback = "",
     .normal = capability_normal,
     .help = "capabilities to drop; ALL: the default set"},
    {.key = "rlimits",
     .type = SETTING_MAP,
     .parse = parse_rlimits,
     .fallback = "",
     .help = "resource limits of processes, as nofile=1024:4096"},
    {.key = "memory",
     .type = SETTING_TEXT,
     .parse = parse_size,
     .field = FIELD (memory_bytes),
     .minimum = 8 << 20,
     .maximum = INT64_MAX,
     .fallback = "",
     .help = "memory limit, as 512M"},
    {.key = "swap",
     .type = SETTING_TEXT,
     .parse = parse_size,
     .field = FIELD (swap_bytes),
     .maximum = INT64_MAX,
     .fallback = "",
     .help = "swap limit, beside memory"},
    {.key = "cpus",
     .type = SETTING_NUMBER,
     .parse = parse_cpus,
     .fallback = "",
     .help = "how many CPUs it may keep busy, as 1.5"},
    {.key = "cpu_weight",
     .type = SETTING_NUMBER,
     .parse = parse_number,
     .field = FIELD (cpu_weight),
     .minimum = 1,
     .maximum = 10000,
     .fallback = "",
     .help = "share of CPU time under load; others have 100"},
    {.key = "io_weight",
     .type = SETTING_NUMBER,
     .parse = parse_number,
     .field = FIELD (io_weight),
     .minimum = 1,
     .maximum = 10000,
     .fallback = "",
     .help = "share of disk time under load; others have 100"},
    {.key = "pids",
     .type = SETTING_NUMBER,
     .parse = parse_number,
     .field = FIELD (pids),
     .minimum = 8,
     .maximum = 4 << 20,
     .fallback = "",
     .help = "how many processes and threads it may have"},
    {.key = "mounts",
     .type = SETTING_MOUNTS,
     .parse = parse_mounts,
     .fallback = "",
     .help = "binds and tmpfs, as /srv/x:/srv/x:ro"},
    {.key = "devices",
     .type = SETTING_WORDS,
     .parse = parse_devices,
     .fallback = "",
     .help = "devices of the host, as /dev/fuse:rw"},
    {.key = "sysctls",
     .type = SETTING_MAP,
     .parse = parse_sysctls,
     .fallback = "",
     .help = "kernel parameters of its namespaces"},
    {.key = "network",
     .type = SETTING_GROUP,
     .parse = parse_network,
     .fallback = "host",
     .help = "host, none, or an object with cni"},
    {.key = "network.cni",
     .type = SETTING_TEXT,
     .parse = parse_cni_name,
     .fallback = "",
     .help = "the name of a CNI configuration"},
    {.key = "network.interface",
     .type = SETTING_TEXT,
     .parse = parse_cni_interface,
     .fallback = "eth0",
     .help = "the name of the interface in the guest"},
    {.key = "network.mac",
     .type = SETTING_TEXT,
     .parse = parse_cni_mac,
     .fallback = "",
     .help = "the interface's hardware address"},
    {.key = "network.addresses",
     .type = SETTING_WORDS,
     .parse = parse_cni_addresses,
     .fallback = "",
     .help = "wanted addresses, as 10.0.0.2/24"},
    {.key = "network.ports",
     .type = SETTING_WORDS,
     .parse = parse_ports,
     .fallback = "",
     .help = "ports of the host, as 8080:80/tcp"},
    {.key = "autostart",
     .type = SETTING_SWITCH,
     .parse = parse_switch,
     .field = FIELD (autostart),
     .fallback = "false",
     .help = "start it when the host boots"},
    {.key = "autostart_priority",
     .type = SETTING_NUMBER,
     .parse = parse_number,
     .field = FIELD (autostart_priority),
     .minimum = -10000,
     .maximum = 10000,
     .fallback = "0",
     .help = "higher ones start earlier and stop later"},
    {.key = "depends",
     .type = SETTING_WORDS,
     .parse = parse_depends,
     .fallback = "",
     .help = "guests that are started before it"},
    {.key = "stop_timeout",
     .type = SETTING_NUMBER,
     .parse = parse_number,
     .field = FIELD (stop_timeout),
     .minimum = 0,
     .maximum = 86400,
     .fallback = "30",
     .help = "seconds until a stop kills"},
    {.key = "health",
     .type = SETTING_ARGS,
     .parse = parse_args,
     .field = FIELD (health),
     .fallback = "",
     .help = "a command in it that succeeds when all is well"},
    {.key = "health_timeout",
     .type = SETTING_NUMBER,
     .parse = parse_number,
     .field = FIELD (health_timeout),
     .minimum = 1,
     .maximum = 86400,
     .fallback = "30",
     .help = "seconds until it must be well after a start"},
    {.key = "verify",
     .type = SETTING_ARGS,
     .parse = parse_args,
     .field = FIELD (verify),
     .fallback = "",
     .help = "a command that must succeed in an upgraded guest"},
    {.key = "keep_transactions",
     .type = SETTING_NUMBER,
     .parse = parse_number,
     .field = FIELD (keep_transactions),
     .minimum = 0,
     .maximum = KEEP_TRANSACTIONS_MAX,
     .fallback = "1",
     .help = "how many transactions can be rolled back"},
    {.key = "disk",
     .type = SETTING_GROUP,
     .fallback = "",
     .help = "how much of its own it may have on the disk"},
    {.key = "disk.soft_limit",
     .type = SETTING_TEXT,
     .parse = parse_size,
     .field = FIELD (disk_soft_bytes),
     .maximum = INT64_MAX,
     .fallback = "",
     .help = "warn when its own files take more, as 5G"},
    {.key = "disk.hard_limit",
     .type = SETTING_TEXT,
     .parse = parse_size,
     .field = FIELD (disk_hard_bytes),
     .minimum = 1 << 20,
     .maximum = INT64_MAX,
     .fallback = "",
     .help = "the file system allows no more, by project quota"},
    {.key = "labels",
     .type = SETTING_MAP,
     .parse = parse_labels,
     .fallback = "",
     .help = "words to select it by: --label KEY=VALUE"},
    {.key = "notes",
     .type = SETTING_TEXT,
     .parse = parse_notes,
     .fallback = "",
     .help = "text for people"},
};
const size_t settings_table_count = sizeof settings_table / sizeof settings_table[0];

static const char *keys[sizeof settings_table / sizeof settings_table[0] + 1];
static pthread_once_t keys_once = PTHREAD_ONCE_INIT;

static void fill_keys (void)
{
  for (size_t i = 0; i < settings_table_count; i++)
    keys[i] = settings_table[i].key;
}

const char *const *settings_keys (void)
{
  pthread_once (&keys_once, fill_keys);
  return keys;
}

const char *settings_help (const char *key)
{
  for (size_t i = 0; i < settings_table_count; i++)
    if (strcmp (settings_table[i].key, key) == 0)
      return settings_table[i].help;
  return NULL;
}

void settings_release (struct settings *settings)
{
  int saved = errno;

  free (settings->hostname);
  free (settings->runtime);
  names_release (&settings->command);
  free (settings->user);
  free (settings->working_dir);
  names_release (&settings->environment);
  names_release (&settings->capabilities_add);
  names_release (&settings->capabilities_drop);
  for (size_t i = 0; i < settings->rlimit_count; i++)
    free (settings->rlimits[i].name);
  free (settings->rlimits);
  for (size_t i = 0; i < settings->mount_count; i++) {
    free (settings->mounts[i].source);
    free (settings->mounts[i].target);
    names_release (&settings->mounts[i].options);
  }
  free (settings->mounts);
  for (size_t i = 0; i < settings->device_count; i++) {
    free (settings->devices[i].path);
    free (settings->devices[i].access);
  }
  free (settings->devices);
  names_release (&settings->sysctls);
  free (settings->cni_network);
  free (settings->cni_interface);
  free (settings->cni_mac);
  names_release (&settings->cni_addresses);
  for (size_t i = 0; i < settings->port_count; i++) {
    free (settings->ports[i].protocol);
    free (settings->ports[i].host_ip);
  }
  free (settings->ports);
  names_release (&settings->depends);
  names_release (&settings->health);
  names_release (&settings->verify);
  names_release (&settings->labels);
  free (settings->notes);
  *settings = (struct settings){0};
  errno = saved;
}

static void set_defaults (struct settings *settings)
{
  *settings = (struct settings){
      .memory_bytes = -1,
      .disk_soft_bytes = -1,
      .disk_hard_bytes = -1,
      .swap_bytes = -1,
      .cpus_milli = -1,
      .cpu_weight = -1,
      .io_weight = -1,
      .pids = -1,
      .stop_timeout = 30,
      .keep_transactions = KEEP_TRANSACTIONS_DEFAULT,
      .health_timeout = 30,
  };
}

json_object *setting_member (json_object *object, const char *key)
{
  json_object *value = NULL;

  return json_object_object_get_ex (object, key, &value) ? value : NULL;
}

/* The part of a key behind "GROUP.", or NULL when it is no member of @group ("": the top). */
static const char *member_of (const char *key, const char *group)
{
  size_t len = strlen (group);

  if (!len)
    return strchr (key, '.') ? NULL : key;
  return strncmp (key, group, len) == 0 && key[len] == '.' ? key + len + 1 : NULL;
}

/* The settings in @object, which is config.json or, with @group, the object of that group. */
static int parse_members (json_object *object, const char *group, struct settings *settings,
                          struct err *err)
{
  const char *known[sizeof settings_table / sizeof settings_table[0] + 2] = {0};
  size_t count = 0;

  if (!*group)
    known[count++] = "format"; /* guest_open has looked at it */
  for (size_t i = 0; i < settings_table_count; i++)
    if (member_of (settings_table[i].key, group))
      known[count++] = member_of (settings_table[i].key, group);
  if (json_check_keys (object, known, *group ? group : "config.json", err) < 0)
    return -err->code;
  for (size_t i = 0; i < settings_table_count; i++) {
    const struct setting *setting = &settings_table[i];
    const char *name = member_of (setting->key, group);
    json_object *value = name ? setting_member (object, name) : NULL;

    if (!value)
      continue;
    if (setting->parse && setting->parse (setting, value, settings, err) < 0)
      return err_wrap (err, "%s", setting->key);
    if (setting->type != SETTING_GROUP)
      continue;
    if (json_object_is_type (value, json_type_object)) {
      if (parse_members (value, setting->key, settings, err) < 0)
        return -err->code;
    } else if (!setting->parse) {
      return err_code (err, ERR_USAGE, "%s must be an object", setting->key);
    }
  }
  return 0;
}

int setting_check (const struct setting *setting, json_object *value, struct err *err)
{
  autosettings struct settings settings;

  set_defaults (&settings);
  if (setting->parse && setting->parse (setting, value, &settings, err) < 0)
    return err_wrap (err, "%s", setting->key);
  if (setting->type == SETTING_GROUP && json_object_is_type (value, json_type_object))
    return parse_members (value, setting->key, &settings, err);
  if (setting->type == SETTING_GROUP && !setting->parse)
    return err_code (err, ERR_USAGE, "%s must be an object", setting->key);
  return 0;
}

static bool any_network_sysctl (const struct settings *settings)
{
  for (size_t i = 0; i < settings->sysctls.count; i++)
    if (strncmp (settings->sysctls.items[i], "net.", 4) == 0)
      return true;
  return false;
}

/* What one value alone cannot tell. */
static int check_together (const char *name, const struct settings *settings, struct err *err)
{
  if (settings->init == INIT_PLAIN && !settings->command.count)
    return err_code (err, ERR_USAGE, "init: \"plain\" needs a command");
  if (settings->init != INIT_PLAIN && settings->init != INIT_AUTO && settings->command.count)
    return err_code (err, ERR_USAGE, "command: it is for init \"plain\", and init is \"%s\"",
                     init_style_name (settings->init));
  if (settings->init != INIT_PLAIN && settings->init != INIT_AUTO &&
      (settings->user || settings->working_dir || settings->stop_signal))
    return err_code (err, ERR_USAGE, "%s: it is for init \"plain\", and init is \"%s\"",
                     settings->user          ? "user"
                     : settings->working_dir ? "working_dir"
                                             : "stop_signal",
                     init_style_name (settings->init));
  if (settings->swap_bytes >= 0 && settings->memory_bytes < 0)
    return err_code (err, ERR_USAGE, "swap: it needs a memory limit as well");
  if (settings->memory_bytes >= 0 && settings->swap_bytes > INT64_MAX - settings->memory_bytes)
    return err_code (err, ERR_USAGE, "swap: more than can be counted");
  if (settings->network == NETWORK_HOST && any_network_sysctl (settings))
    return err_code (err, ERR_USAGE,
                     "sysctls: those of \"net.\" belong to the host while network is \"host\"");
  if (names_has (&settings->depends, name))
    return err_code (err, ERR_USAGE, "depends: the guest cannot depend on itself");
  return 0;
}

int settings_parse (json_object *config, const char *name, struct settings *ret_settings,
                    struct err *err)
{
  autosettings struct settings settings;

  set_defaults (&settings);
  if (parse_members (config, "", &settings, err) < 0 || check_together (name, &settings, err) < 0)
    goto bad;
  if (!settings.hostname && hostname_for_guest (name, &settings.hostname, err) < 0)
    goto bad;
  if (settings.network == NETWORK_CNI && !settings.cni_interface)
    settings.cni_interface = xstrdup ("eth0");
  *ret_settings = settings;
  settings = (struct settings){0};
  return 0;
bad:
  return strncmp (err_text (err), "config.json", 11) == 0
             ? err_wrap (err, "guest %s", name)
             : err_wrap (err, "guest %s: config.json", name);
}

const char *init_style_name (enum init_style style)
{
  static const char *const names[] = {"auto",    "systemd", "sysvinit", "openrc",
                                      "busybox", "plain",   "none"};

  return names[style];
}
