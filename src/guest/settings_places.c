/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings that join a guest to its host: mounts, devices, network. */
#include "settings_internal.h"
#include "util/utf8.h"
#include <arpa/inet.h>
#include <ctype.h>

static bool is_at_or_below (const char *path, const char *directory)
{
  size_t len = strlen (directory);

  return strncmp (path, directory, len) == 0 && (!path[len] || path[len] == '/');
}

static int check_target (const char *target, struct err *err)
{
  /* Mounting there would take away what containment and inits rely on. */
  static const char *const whole[] = {
      "/proc",        "/sys",      "/dev/pts",          "/dev/mqueue",
      "/dev/console", "/dev/ptmx", "/run/.vguest-init", NULL};

  if (!setting_path_is_clean (target))
    return err_code (err, ERR_USAGE,
                     "the target \"%.200s\" is no absolute path without \".\", \"..\" and \"//\"",
                     target);
  if (strcmp (target, "/") == 0 || strcmp (target, "/dev") == 0 || strcmp (target, "/run") == 0)
    return err_code (err, ERR_USAGE, "the target \"%s\" is the guest's own", target);
  for (const char *const *path = whole; *path; path++)
    if (is_at_or_below (target, *path))
      return err_code (err, ERR_USAGE, "the target \"%.200s\": %s is the guest's own", target,
                       *path);
  return 0;
}

static int check_option (const char *option, bool tmpfs, struct err *err)
{
  static const char *const flags[] = {
      "nosuid",  "suid",     "nodev",       "dev",        "noexec", "exec",
      "noatime", "relatime", "strictatime", "nodiratime", "sync",   NULL,
  };
  static const char *const binds[] = {
      "rbind",    "private",     "rprivate",   "slave",  "rslave", "nosuid",
      "suid",     "nodev",       "dev",        "noexec", "exec",   "noatime",
      "relatime", "strictatime", "nodiratime", "sync",   NULL,
  };
  static const char *const values[] = {"size=", "mode=", "uid=", "gid=", "nr_inodes=", NULL};
  const char *const *known = tmpfs ? flags : binds;
  const char *const *word = known;

  while (*word && strcmp (*word, option) != 0)
    word++;
  if (*word)
    return 0;
  for (word = values; tmpfs && *word; word++) {
    size_t len = strlen (*word);
    size_t digits = strspn (option + (strncmp (option, *word, len) == 0 ? len : 0), "0123456789");

    if (strncmp (option, *word, len) != 0)
      continue;
    const char *rest = option + len + digits;
    bool unit =
        *rest && !rest[1] && strchr (len == 5 && **word == 's' ? "kKmMgG%" : "kKmMgG", *rest);
    if (digits && digits < 19 && (!*rest || (unit && strchr ("sn", **word))))
      return 0;
    return err_code (err, ERR_USAGE, "the mount option \"%.60s\" has no sound value", option);
  }
  const char *near = nearest_word (option, known);
  if (near)
    return err_code (err, ERR_USAGE, "unknown mount option \"%.60s\"; did you mean \"%s\"?", option,
                     near);
  return err_code (err, ERR_USAGE, "unknown mount option \"%.60s\" of a %s", option,
                   tmpfs ? "tmpfs" : "bind");
}

static int take_options (json_object *object, struct settings_mount *mount, struct err *err)
{
  json_object *options = NULL;

  if (json_get_strings (object, "options", &options, err) < 0)
    return -err->code;
  for (size_t i = 0; options && i < json_object_array_length (options); i++) {
    const char *option;

    if (setting_string (json_object_array_get_idx (options, i), &option, err) < 0 ||
        check_option (option, mount->tmpfs, err) < 0)
      return -err->code;
    names_add (&mount->options, option);
  }
  return 0;
}

static int take_mount (json_object *object, struct settings_mount *mount, struct err *err)
{
  static const char *const keys[] = {"source",   "target",  "type", "read_only",
                                     "optional", "options", NULL};
  const char *source = NULL, *target = NULL, *type = NULL;

  if (!json_object_is_type (object, json_type_object))
    return err_code (err, ERR_USAGE, "an object with source and target is expected, not %.60s",
                     json_object_to_json_string (object));
  if (json_check_keys (object, keys, "mount", err) < 0 ||
      json_get_string (object, "source", NULL, &source, err) < 0 ||
      json_get_string (object, "target", NULL, &target, err) < 0 ||
      json_get_string (object, "type", "bind", &type, err) < 0 ||
      json_get_bool (object, "read_only", false, &mount->read_only, err) < 0 ||
      json_get_bool (object, "optional", false, &mount->optional, err) < 0)
    return -err->code;
  if (strcmp (type, "bind") != 0 && strcmp (type, "tmpfs") != 0)
    return err_code (err, ERR_USAGE, "\"type\" must be bind or tmpfs, not \"%.60s\"", type);
  mount->tmpfs = *type == 't';
  if (!target)
    return err_code (err, ERR_USAGE, "\"target\" is missing");
  if (mount->tmpfs && source)
    return err_code (err, ERR_USAGE, "a tmpfs on %.200s has no source", target);
  if (mount->tmpfs && mount->optional)
    return err_code (err, ERR_USAGE, "a tmpfs on %.200s has no source that could be missing",
                     target);
  if (!mount->tmpfs && !source)
    return err_code (err, ERR_USAGE, "the source of %.200s is missing", target);
  if (source && !setting_path_is_clean (source))
    return err_code (err, ERR_USAGE,
                     "the source \"%.200s\" is no absolute path without \".\", \"..\" and \"//\"",
                     source);
  if (!utf8_valid (target) || (source && !utf8_valid (source)))
    return err_code (err, ERR_USAGE, "\"%.200s\" is not UTF-8", target);
  if (check_target (target, err) < 0)
    return -err->code;
  mount->source = source ? xstrdup (source) : NULL;
  mount->target = xstrdup (target);
  if (take_options (object, mount, err) < 0)
    return err_wrap (err, "%s", target);
  return 0;
}

int parse_mounts (const struct setting *setting, json_object *value, struct settings *settings,
                  struct err *err)
{
  (void) setting;
  if (!json_object_is_type (value, json_type_array))
    return err_code (err, ERR_USAGE, "a list of objects is expected, not %.60s",
                     json_object_to_json_string (value));
  for (size_t i = 0; i < json_object_array_length (value); i++) {
    settings->mounts =
        xreallocarray (settings->mounts, settings->mount_count + 1, sizeof *settings->mounts);
    struct settings_mount *mount = &settings->mounts[settings->mount_count++];

    *mount = (struct settings_mount){0};
    if (take_mount (json_object_array_get_idx (value, i), mount, err) < 0)
      return -err->code;
    for (size_t k = 0; k + 1 < settings->mount_count; k++)
      if (strcmp (settings->mounts[k].target, mount->target) == 0)
        return err_code (err, ERR_USAGE, "the target %s is there twice", mount->target);
  }
  return 0;
}

int mount_from_text (const char *text, json_object **ret_object, struct err *err)
{
  const char *colon = strchr (text, ':');
  const char *second = colon ? strchr (colon + 1, ':') : NULL;
  const char *rest = second ? second + 1 : "";

  if (!colon)
    return err_code (err, ERR_USAGE,
                     "\"%.200s\" is no mount: SOURCE:TARGET[:OPTION,...], "
                     "tmpfs:TARGET[:OPTION,...] or JSON is expected",
                     text);
  autofree char *source = xstrndup (text, (size_t) (colon - text));
  autofree char *target =
      second ? xstrndup (colon + 1, (size_t) (second - colon - 1)) : xstrdup (colon + 1);
  json_object *object = json_object_new_object (), *options = json_object_new_array ();
  if (!object || !options)
    err_out_of_memory ();
  if (strcmp (source, "tmpfs") == 0)
    json_set_string (object, "type", "tmpfs");
  else
    json_set_string (object, "source", source);
  json_set_string (object, "target", target);
  while (*rest) {
    size_t len = strcspn (rest, ",");
    autofree char *option = xstrndup (rest, len);

    if (strcmp (option, "ro") == 0)
      json_set_bool (object, "read_only", true);
    else if (strcmp (option, "rw") == 0)
      json_set_bool (object, "read_only", false);
    else if (strcmp (option, "optional") == 0)
      json_set_bool (object, "optional", true);
    else if (json_object_array_add (options, json_object_new_string (option)) < 0)
      err_out_of_memory ();
    rest += len + (rest[len] == ',');
  }
  if (!json_object_array_length (options))
    json_object_put (options);
  else if (json_object_object_add (object, "options", options) < 0)
    err_out_of_memory ();
  *ret_object = object;
  return 0;
}

/* The strings of a list, one by one. */
static int each_string (json_object *value, struct settings *settings,
                        int (*take) (const char *text, struct settings *settings, struct err *err),
                        struct err *err)
{
  if (!json_object_is_type (value, json_type_array))
    return err_code (err, ERR_USAGE, "a list of strings is expected, not %.60s",
                     json_object_to_json_string (value));
  for (size_t i = 0; i < json_object_array_length (value); i++) {
    const char *text;

    if (setting_string (json_object_array_get_idx (value, i), &text, err) < 0 ||
        take (text, settings, err) < 0)
      return -err->code;
  }
  return 0;
}

static int take_device (const char *text, struct settings *settings, struct err *err)
{
  const char *colon = strrchr (text, ':');
  autofree char *path = xstrndup (text, colon ? (size_t) (colon - text) : strlen (text));
  const char *access = colon ? colon + 1 : "rwm";

  if (!setting_path_is_clean (path) || strncmp (path, "/dev/", 5) != 0)
    return err_code (err, ERR_USAGE, "\"%.200s\" is no device: a path below /dev is expected",
                     text);
  if (!*access || access[strspn (access, "rwm")] || strlen (access) > 3)
    return err_code (err, ERR_USAGE, "\"%.200s\": the access \"%.10s\" is not made of r, w and m",
                     text, access);
  for (size_t i = 0; i < settings->device_count; i++)
    if (strcmp (settings->devices[i].path, path) == 0)
      return err_code (err, ERR_USAGE, "the device %s is there twice", path);
  settings->devices =
      xreallocarray (settings->devices, settings->device_count + 1, sizeof *settings->devices);
  settings->devices[settings->device_count++] =
      (struct settings_device){.path = steal_ptr (&path), .access = xstrdup (access)};
  return 0;
}

int parse_devices (const struct setting *setting, json_object *value, struct settings *settings,
                   struct err *err)
{
  (void) setting;
  return each_string (value, settings, take_device, err);
}

int parse_network (const struct setting *setting, json_object *value, struct settings *settings,
                   struct err *err)
{
  const char *text;

  (void) setting;
  if (json_object_is_type (value, json_type_object)) {
    if (!setting_member (value, "cni"))
      return err_code (err, ERR_USAGE,
                       "an object needs \"cni\", the name of a network; else it is \"host\" or "
                       "\"none\"");
    settings->network = NETWORK_CNI;
    return 0; /* the members follow */
  }
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  if (strcmp (text, "host") == 0)
    settings->network = NETWORK_HOST;
  else if (strcmp (text, "none") == 0)
    settings->network = NETWORK_NONE;
  else
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is neither \"host\", \"none\" nor an object with \"cni\"", text);
  return 0;
}

int parse_cni_name (const struct setting *setting, json_object *value, struct settings *settings,
                    struct err *err)
{
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  /* The CNI specification's rule for names of networks. */
  for (const char *p = text; *p || p == text; p++)
    if (!isalnum ((unsigned char) *p) && (p == text || !strchr ("._-", *p)))
      return err_code (err, ERR_USAGE,
                       "\"%.60s\" is no name of a network: letters, digits, and behind the first "
                       "\".\", \"_\" and \"-\" are expected",
                       text);
  if (strlen (text) > 128)
    return err_code (err, ERR_USAGE, "a name of more than 128 characters");
  settings->cni_network = xstrdup (text);
  return 0;
}

int parse_cni_interface (const struct setting *setting, json_object *value,
                         struct settings *settings, struct err *err)
{
  const char *text;
  bool good;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  good = *text && strlen (text) <= 15 && *text != '.' && strcmp (text, "lo") != 0;
  for (const char *p = text; *p; p++)
    good &= isalnum ((unsigned char) *p) || strchr ("._-", *p);
  if (!good)
    return err_code (err, ERR_USAGE, "\"%.60s\" is no name for an interface", text);
  settings->cni_interface = xstrdup (text);
  return 0;
}

int parse_cni_mac (const struct setting *setting, json_object *value, struct settings *settings,
                   struct err *err)
{
  const char *text;

  (void) setting;
  if (setting_string (value, &text, err) < 0)
    return -err->code;
  bool good = strlen (text) == 17;
  for (size_t i = 0; good && i < 17; i++)
    good = i % 3 == 2 ? text[i] == ':' : isxdigit ((unsigned char) text[i]) != 0;
  if (!good)
    return err_code (err, ERR_USAGE, "\"%.60s\" is no address such as 02:00:00:12:34:56", text);
  unsigned long first = strtoul (text, NULL, 16);
  if ((first & 1) || strcmp (text, "00:00:00:00:00:00") == 0)
    return err_code (err, ERR_USAGE, "\"%s\" is not the address of one interface", text);
  settings->cni_mac = xstrdup (text);
  return 0;
}

/* 4, 6, or 0 when @text is no address. */
static int address_family (const char *text)
{
  unsigned char address[sizeof (struct in6_addr)];

  if (inet_pton (AF_INET, text, address) == 1)
    return 4;
  return inet_pton (AF_INET6, text, address) == 1 ? 6 : 0;
}

static int take_address (const char *text, struct settings *settings, struct err *err)
{
  size_t len = strcspn (text, "/");
  autofree char *ip = xstrndup (text, len);
  const char *prefix = text[len] ? text + len + 1 : NULL;
  int family = address_family (ip);
  size_t digits = prefix ? strspn (prefix, "0123456789") : 0;
  bool good = family && (!prefix || (digits && digits <= 3 && !prefix[digits]));

  if (!good || (prefix && strtoul (prefix, NULL, 10) > (family == 4 ? 32 : 128)))
    return err_code (err, ERR_USAGE, "\"%.60s\" is no address such as 10.0.0.2/24", text);
  if (names_has (&settings->cni_addresses, text))
    return err_code (err, ERR_USAGE, "the address %s is there twice", text);
  names_add (&settings->cni_addresses, text);
  return 0;
}

int parse_cni_addresses (const struct setting *setting, json_object *value,
                         struct settings *settings, struct err *err)
{
  (void) setting;
  return each_string (value, settings, take_address, err);
}

/* A port at *@text, which is left behind it. */
static bool take_number (const char **text, unsigned *ret_port)
{
  size_t digits = strspn (*text, "0123456789");

  if (!digits || digits > 5)
    return false;
  unsigned long port = strtoul (*text, NULL, 10);
  *text += digits;
  *ret_port = (unsigned) port;
  return port >= 1 && port <= 65535;
}

static void port_release (struct settings_port *port)
{
  free (port->protocol);
  free (port->host_ip);
}

/* "[ADDRESS:]HOSTPORT:PORT[/PROTOCOL]"; an IPv6 address stands in brackets. */
static bool port_from_text (const char *text, struct settings_port *port)
{
  const char *bracket = *text == '[' ? strchr (text, ']') : NULL;
  size_t dots = strcspn (text, ":");

  if (bracket) {
    port->host_ip = xstrndup (text + 1, (size_t) (bracket - text - 1));
    text = bracket + 1;
  } else if (memchr (text, '.', dots)) {
    port->host_ip = xstrndup (text, dots);
    text += dots;
  }
  if (port->host_ip && (address_family (port->host_ip) != (bracket ? 6 : 4) || *text++ != ':'))
    return false;
  if (!take_number (&text, &port->host_port) || *text++ != ':' ||
      !take_number (&text, &port->port) || (*text && *text != '/'))
    return false;
  port->protocol = xstrdup (*text ? text + 1 : "tcp");
  return strcmp (port->protocol, "tcp") == 0 || strcmp (port->protocol, "udp") == 0 ||
         strcmp (port->protocol, "sctp") == 0;
}

static bool same_port (const struct settings_port *a, const struct settings_port *b)
{
  return a->host_port == b->host_port && strcmp (a->protocol, b->protocol) == 0 &&
         (!a->host_ip || !b->host_ip || strcmp (a->host_ip, b->host_ip) == 0);
}

static int take_port (const char *text, struct settings *settings, struct err *err)
{
  struct settings_port port = {0};

  if (!port_from_text (text, &port)) {
    port_release (&port);
    return err_code (err, ERR_USAGE,
                     "\"%.60s\" is no mapping such as 8080:80/tcp or 192.0.2.1:53:53/udp", text);
  }
  for (size_t i = 0; i < settings->port_count; i++)
    if (same_port (&settings->ports[i], &port)) {
      port_release (&port);
      return err_code (err, ERR_USAGE, "\"%s\": the port of the host is taken by another mapping",
                       text);
    }
  settings->ports = xreallocarray (settings->ports, settings->port_count + 1, sizeof port);
  settings->ports[settings->port_count++] = port;
  return 0;
}

int parse_ports (const struct setting *setting, json_object *value, struct settings *settings,
                 struct err *err)
{
  (void) setting;
  return each_string (value, settings, take_port, err);
}
