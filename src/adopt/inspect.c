/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect.h"
#include <inttypes.h>

static json_object *member (json_object *object, const char *key)
{
  json_object *value = NULL;

  if (!json_object_is_type (object, json_type_object) ||
      !json_object_object_get_ex (object, key, &value))
    return NULL;
  return value;
}

/* A string that is not empty, or NULL. Borrowed. */
static const char *text_of (json_object *object, const char *key)
{
  json_object *value = member (object, key);
  const char *text =
      json_object_is_type (value, json_type_string) ? json_object_get_string (value) : NULL;

  return text && *text ? text : NULL;
}

/* A number; 0, which means "not set" there, when there is none. */
static int64_t number_of (json_object *object, const char *key)
{
  json_object *value = member (object, key);

  return json_object_is_type (value, json_type_int) ? json_object_get_int64 (value) : 0;
}

static bool switch_of (json_object *object, const char *key)
{
  json_object *value = member (object, key);

  return json_object_is_type (value, json_type_boolean) && json_object_get_boolean (value);
}

static size_t length_of (json_object *object, const char *key)
{
  json_object *value = member (object, key);

  return json_object_is_type (value, json_type_array) ? json_object_array_length (value) : 0;
}

/* The string @i of the list, or NULL. Borrowed. */
static const char *item_of (json_object *object, const char *key, size_t i)
{
  json_object *value =
      i < length_of (object, key) ? json_object_array_get_idx (member (object, key), i) : NULL;

  return json_object_is_type (value, json_type_string) ? json_object_get_string (value) : NULL;
}

static const char *json_text (json_object *value)
{
  const char *text = json_object_to_json_string_ext (value, JSON_C_TO_STRING_PLAIN |
                                                                JSON_C_TO_STRING_NOSLASHESCAPE);

  if (!text)
    err_out_of_memory ();
  return text;
}

static void add_words (json_object *config, const char *key, json_object *list)
{
  const char *word = text_of (config, key);

  /* podman 3 and older give the entrypoint as one string. */
  if (word)
    json_append (list, json_object_new_string (word));
  for (size_t i = 0; i < length_of (config, key); i++)
    if (item_of (config, key, i))
      json_append (list, json_object_new_string (item_of (config, key, i)));
}

static void take_command (struct translation *translation, json_object *config)
{
  autojson json_object *list = json_object_new_array ();

  if (!list)
    err_out_of_memory ();
  add_words (config, "Entrypoint", list);
  add_words (config, "Cmd", list);
  size_t count = json_object_array_length (list);
  if (!count)
    return;
  const char *first = json_object_get_string (json_object_array_get_idx (list, 0));
  if (count == 1 && translation_is_init (first))
    return;
  autofree char *value = xstrdup (json_text (list));
  translation_set_json (translation, "Config.Cmd", value, "command", steal_ptr (&list));
}

static void take_health (struct translation *translation, json_object *config)
{
  json_object *health = member (config, "Healthcheck");
  const char *how = item_of (health, "Test", 0);
  json_object *list;

  if (!how || strcmp (how, "NONE") == 0)
    return;
  list = json_object_new_array ();
  if (!list)
    err_out_of_memory ();
  if (strcmp (how, "CMD-SHELL") == 0) {
    json_append (list, json_object_new_string ("/bin/sh"));
    json_append (list, json_object_new_string ("-c"));
  }
  for (size_t i = 1; i < length_of (health, "Test"); i++)
    if (item_of (health, "Test", i))
      json_append (list, json_object_new_string (item_of (health, "Test", i)));
  translation_set_json (translation, "Config.Healthcheck", json_text (member (health, "Test")),
                        "health", list);
}

/* The path of what an image has as "app/": from the root. */
static void take_working_dir (struct translation *translation, json_object *config)
{
  const char *text = text_of (config, "WorkingDir");
  autofree char *path = text ? translation_clean_path (text) : NULL;

  if (path && path[1])
    translation_set (translation, "Config.WorkingDir", text, "working_dir=%s", path);
  else if (text && !path)
    translation_leave (translation, "Config.WorkingDir", text, "it is no path");
}

static void take_config (struct translation *translation, json_object *config)
{
  const char *hostname = text_of (config, "Hostname"), *user = text_of (config, "User");
  const char *signal = text_of (config, "StopSignal");
  json_object *labels = member (config, "Labels");

  take_command (translation, config);
  for (size_t i = 0; i < length_of (config, "Env"); i++)
    if (item_of (config, "Env", i))
      translation_variable (translation, "Config.Env", item_of (config, "Env", i));
  take_working_dir (translation, config);
  if (hostname)
    translation_set (translation, "Config.Hostname", hostname, "hostname=%s", hostname);
  if (user)
    translation_set (translation, "Config.User", user, "user=%s", user);
  if (signal)
    translation_set (translation, "Config.StopSignal", signal, "stop_signal=%s", signal);
  if (number_of (config, "StopTimeout") > 0)
    translation_set (translation, "Config.StopTimeout", "", "stop_timeout=%" PRId64,
                     number_of (config, "StopTimeout"));
  take_health (translation, config);
  if (json_object_is_type (labels, json_type_object)) {
    json_object_object_foreach (labels, key, value)
    {
      if (json_object_is_type (value, json_type_string))
        translation_set (translation, "Config.Labels", key, "labels+=%s=%s", key,
                         json_object_get_string (value));
    }
  }
  if (switch_of (config, "Tty"))
    translation_leave (translation, "Config.Tty", "true",
                       "its output is in vguest logs, its terminal is vguest console");
}

static void take_limits (struct translation *translation, json_object *host)
{
  int64_t memory = number_of (host, "Memory"), both = number_of (host, "MemorySwap");
  int64_t cpus = number_of (host, "NanoCpus") / 1000000;
  int64_t quota = number_of (host, "CpuQuota"), period = number_of (host, "CpuPeriod");
  int64_t shares = number_of (host, "CpuShares"), pids = number_of (host, "PidsLimit");
  int64_t weight = number_of (host, "BlkioWeight");

  if (memory > 0 &&
      translation_set (translation, "HostConfig.Memory", "", "memory=%" PRId64, memory) &&
      both >= memory)
    translation_set (translation, "HostConfig.MemorySwap", "", "swap=%" PRId64, both - memory);
  if (cpus <= 0 && quota > 0 && quota < INT64_MAX / 1000)
    cpus = quota * 1000 / (period > 0 ? period : 100000);
  if (cpus > 0)
    translation_set (translation, "HostConfig.NanoCpus", "", "cpus=%" PRId64 ".%03" PRId64,
                     cpus / 1000, cpus % 1000);
  if (shares > 0 && shares < 1000000)
    translation_set (translation, "HostConfig.CpuShares", "", "cpu_weight=%" PRId64,
                     shares < 11 ? 1 : shares * 100 / 1024);
  if (weight > 0 && weight <= 10000)
    translation_set (translation, "HostConfig.BlkioWeight", "", "io_weight=%" PRId64,
                     weight < 5 ? 1 : weight / 5);
  if (pids > 0)
    translation_set (translation, "HostConfig.PidsLimit", "", "pids=%" PRId64, pids);
  for (size_t i = 0; i < length_of (host, "Ulimits"); i++) {
    json_object *limit = json_object_array_get_idx (member (host, "Ulimits"), i);
    const char *name = text_of (limit, "Name");
    int64_t soft = number_of (limit, "Soft"), hard = number_of (limit, "Hard");
    autofree char *from = soft < 0 ? xstrdup ("unlimited") : xasprintf ("%" PRId64, soft);
    autofree char *to = hard < 0 ? xstrdup ("unlimited") : xasprintf ("%" PRId64, hard);

    if (!name)
      continue;
    /* podman writes "RLIMIT_NOFILE". */
    autofree char *lower = xstrdup (strncmp (name, "RLIMIT_", 7) == 0 ? name + 7 : name);
    for (char *p = lower; *p; p++)
      if (*p >= 'A' && *p <= 'Z')
        *p = (char) (*p - 'A' + 'a');
    translation_set (translation, "HostConfig.Ulimits", name, "rlimits.%s=%s:%s", lower, from, to);
  }
}

static void take_capabilities (struct translation *translation, json_object *host)
{
  static const char *const keys[] = {"CapDrop", "CapAdd"};

  for (size_t k = 0; k < 2; k++)
    for (size_t i = 0; i < length_of (host, keys[k]); i++) {
      const char *name = item_of (host, keys[k], i);

      if (name && k == 1 && strcasecmp (name, "ALL") == 0)
        translation_leave (translation, "HostConfig.CapAdd", name,
                           "no guest gets all capabilities: set capabilities.add+= those it needs");
      else if (name)
        translation_capability (translation, keys[k], name, /* drop= */ k == 0);
    }
  if (switch_of (host, "Privileged"))
    translation_leave (translation, "HostConfig.Privileged", "true",
                       "no guest is privileged: set capabilities.add and devices as needed");
}

static void take_devices (struct translation *translation, json_object *host)
{
  for (size_t i = 0; i < length_of (host, "Devices"); i++) {
    json_object *device = json_object_array_get_idx (member (host, "Devices"), i);
    const char *from = text_of (device, "PathOnHost"), *to = text_of (device, "PathInContainer");
    const char *access = text_of (device, "CgroupPermissions");

    if (!from)
      continue;
    if (to && strcmp (from, to) != 0)
      translation_leave (translation, "HostConfig.Devices", json_text (device),
                         "devices have the same name in the guest: make a symlink in it");
    else
      translation_set (translation, "HostConfig.Devices", from, "devices+=%s:%s", from,
                       access ? access : "rwm");
  }
}

/* "8080" on the host's address is where "80/tcp" leads. */
static void take_port (struct translation *translation, const char *port, json_object *binding)
{
  const char *ip = text_of (binding, "HostIp"), *host_port = text_of (binding, "HostPort");
  bool all = !ip || strcmp (ip, "0.0.0.0") == 0 || strcmp (ip, "::") == 0;
  bool six = !all && strchr (ip, ':');
  autofree char *value = xasprintf ("%s%s%s%s%s:%s", six ? "[" : "", all ? "" : ip, six ? "]" : "",
                                    all ? "" : ":", host_port ? host_port : "?", port);

  if (!host_port)
    translation_leave (translation, "HostConfig.PortBindings", value,
                       "no port of the host is named: set network.ports+=");
  else if (translation->cni)
    translation_set (translation, "HostConfig.PortBindings", value, "network.ports+=%s", value);
  else
    translation_leave (translation, "HostConfig.PortBindings", value,
                       "it belongs to a network: set network.cni, and then network.ports+=");
}

static void take_network (struct translation *translation, json_object *host)
{
  const char *mode = text_of (host, "NetworkMode");
  json_object *ports = member (host, "PortBindings");

  if (mode && strcmp (mode, "host") == 0)
    translation_set (translation, "HostConfig.NetworkMode", mode, "network=host");
  else if (mode && strcmp (mode, "none") == 0)
    translation_set (translation, "HostConfig.NetworkMode", mode, "network=none");
  else
    translation_own_network (translation, "HostConfig.NetworkMode", mode ? mode : "default");
  if (json_object_is_type (ports, json_type_object)) {
    json_object_object_foreach (ports, port, bindings)
    {
      if (json_object_is_type (bindings, json_type_array))
        for (size_t i = 0; i < json_object_array_length (bindings); i++)
          take_port (translation, port, json_object_array_get_idx (bindings, i));
    }
  }
}

static void take_mounts (struct translation *translation, json_object *mounts)
{
  size_t count =
      json_object_is_type (mounts, json_type_array) ? json_object_array_length (mounts) : 0;

  for (size_t i = 0; i < count; i++) {
    json_object *mount = json_object_array_get_idx (mounts, i);
    const char *type = text_of (mount, "Type"), *source = text_of (mount, "Source");
    const char *target = text_of (mount, "Destination");
    json_object *rw = member (mount, "RW");
    bool read_only = json_object_is_type (rw, json_type_boolean) && !json_object_get_boolean (rw);

    if (!target)
      continue;
    if (type && strcmp (type, "tmpfs") == 0)
      translation_mount (translation, "Mounts", json_text (mount), NULL, target, "");
    else if (!source)
      translation_leave (translation, "Mounts", json_text (mount), "it has no source");
    else
      translation_mount (translation, "Mounts", json_text (mount), source, target,
                         read_only ? "ro" : "");
    /* Its data is not in the export, and goes with the container. */
    if (type && strcmp (type, "volume") == 0)
      translation_leave (translation, "Mounts", source ? source : target,
                         "the volume is still the other tool's: keep it, or copy what is in it "
                         "into the guest and unset the mount");
  }
}

static void take_tmpfs (struct translation *translation, json_object *host)
{
  json_object *tmpfs = member (host, "Tmpfs");

  if (!json_object_is_type (tmpfs, json_type_object))
    return;
  json_object_object_foreach (tmpfs, target, options)
  {
    translation_mount (
        translation, "HostConfig.Tmpfs", target, NULL, target,
        json_object_is_type (options, json_type_string) ? json_object_get_string (options) : "");
  }
}

static void take_sysctls (struct translation *translation, json_object *host)
{
  json_object *sysctls = member (host, "Sysctls");

  if (!json_object_is_type (sysctls, json_type_object))
    return;
  json_object_object_foreach (sysctls, key, value)
  {
    if (json_object_is_type (value, json_type_string))
      translation_set (translation, "HostConfig.Sysctls", key, "sysctls.%s=%s", key,
                       json_object_get_string (value));
  }
}

static void take_restart (struct translation *translation, json_object *host)
{
  const char *name = text_of (member (host, "RestartPolicy"), "Name");

  if (!name || strcmp (name, "no") == 0)
    return;
  if (strcmp (name, "always") == 0 || strcmp (name, "unless-stopped") == 0)
    translation_set (translation, "HostConfig.RestartPolicy", name, "autostart=true");
  translation_leave (translation, "HostConfig.RestartPolicy", name,
                     "a guest whose command ends is stopped, and is not started again by itself");
}

/* What is left over when it is set. */
static const struct {
  const char *key;
  const char *why;
} others[] = {
    {"ReadonlyRootfs", "a guest can be written: set mounts+= for parts that shall not"},
    {"SecurityOpt", "all guests have the same profile"},
    {"ExtraHosts", "add the lines to the guest's /etc/hosts"},
    {"Dns", "a CNI network says what resolv.conf has (vguest-network(7))"},
    {"DnsSearch", "a CNI network says what resolv.conf has (vguest-network(7))"},
    {"DnsOptions", "a CNI network says what resolv.conf has (vguest-network(7))"},
    {"CpusetCpus", "guests are not bound to processors: set cpus or cpu_weight"},
    {"CpusetMems", "guests are not bound to processors: set cpus or cpu_weight"},
    {"MemoryReservation", "there is one limit of memory: set memory"},
    {"OomScoreAdj", "the limit of memory is the guest's own: set memory"},
    {"OomKillDisable", "the limit of memory is the guest's own: set memory"},
    {"DeviceRequests", "set devices+= for each device"},
    {"DeviceCgroupRules", "set devices+= for each device"},
    {"GroupAdd", "add the user to the groups in the guest's /etc/group"},
    {"Links", "set depends, and use addresses of a CNI network"},
    {"VolumesFrom", "set mounts+="},
    {"UsernsMode", "guests have no user namespace of their own"},
    {"AutoRemove", "a guest is kept: delete it"},
    {"BlkioWeightDevice", "a weight is for all disks: set io_weight"},
    {"BlkioDeviceReadBps", "disks have weights only: set io_weight"},
    {"BlkioDeviceWriteBps", "disks have weights only: set io_weight"},
};

/* Not "", 0, false, [] or {}. */
static bool is_set (json_object *value)
{
  switch (json_object_get_type (value)) {
  case json_type_string:
    return json_object_get_string_len (value) > 0;
  case json_type_array:
    return json_object_array_length (value) > 0;
  case json_type_object:
    return json_object_object_length (value) > 0;
  case json_type_boolean:
    return json_object_get_boolean (value);
  case json_type_int:
    return json_object_get_int64 (value) != 0;
  case json_type_null:
  case json_type_double:
    break;
  }
  return false;
}

static void take_host (struct translation *translation, json_object *host)
{
  const char *names[] = {"PidMode", "IpcMode", "UTSMode"};

  take_limits (translation, host);
  take_capabilities (translation, host);
  take_devices (translation, host);
  take_network (translation, host);
  take_tmpfs (translation, host);
  take_sysctls (translation, host);
  take_restart (translation, host);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *mode = text_of (host, names[i]);

    if (mode && (strcmp (mode, "host") == 0 || strncmp (mode, "container:", 10) == 0))
      translation_leave (translation, names[i], mode, "a guest has namespaces of its own");
  }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (is_set (member (host, others[i].key)))
      translation_leave (translation, others[i].key, json_text (member (host, others[i].key)),
                         others[i].why);
}

int inspect_translate (struct translation *translation, const char *text, size_t len,
                       struct err *err)
{
  autojson json_object *value = NULL;
  json_object *container;

  if (json_parse_value (text, len, "what inspect tells", &value, err) < 0)
    return err_code (err, ERR_USAGE, "%s", err_text (err));
  container = value;
  if (json_object_is_type (value, json_type_array)) {
    if (json_object_array_length (value) != 1)
      return err_code (err, ERR_USAGE, "inspect tells of %zu containers; one is expected",
                       json_object_array_length (value));
    container = json_object_array_get_idx (value, 0);
  }
  if (!json_object_is_type (member (container, "Config"), json_type_object))
    return err_code (err, ERR_USAGE,
                     "there is no \"Config\": the output of docker inspect or podman inspect for a "
                     "container is expected");
  take_config (translation, member (container, "Config"));
  take_host (translation, member (container, "HostConfig"));
  take_mounts (translation, member (container, "Mounts"));
  return 0;
}
