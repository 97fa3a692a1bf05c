/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network.h"
#include "cni.h"
#include "cni_result.h"
#include "masquerade.h"
#include "netns.h"
#include "util/fd.h"
#include <sys/socket.h>
#include <sys/un.h>

enum { NOTE_FORMAT = 1 };

static const char note_name[] = "network.json";

static void add (json_object *object, const char *key, json_object *value)
{
  if (!value || json_object_object_add (object, key, value) < 0)
    err_out_of_memory ();
}

/* What the guest's settings give to plugins that declare the capability of that name (CNI's
 * CONVENTIONS). The caller's. */
static json_object *capability_arguments (const struct settings *settings)
{
  json_object *arguments = json_object_new_object (), *list = json_object_new_array ();

  json_append (list, json_object_new_string (settings->hostname));
  add (arguments, "aliases", list);
  json_set_string (arguments, "mac", settings->cni_mac);
  if (settings->cni_addresses.count) {
    list = json_object_new_array ();
    for (size_t i = 0; i < settings->cni_addresses.count; i++)
      json_append (list, json_object_new_string (settings->cni_addresses.items[i]));
    add (arguments, "ips", list);
  }
  if (settings->port_count) {
    list = json_object_new_array ();
    for (size_t i = 0; i < settings->port_count; i++) {
      const struct settings_port *port = &settings->ports[i];
      json_object *mapping = json_object_new_object ();

      json_set_int (mapping, "hostPort", port->host_port);
      json_set_int (mapping, "containerPort", port->port);
      json_set_string (mapping, "protocol", port->protocol);
      json_set_string (mapping, "hostIP", port->host_ip);
      json_append (list, mapping);
    }
    add (arguments, "portMappings", list);
  }
  return arguments;
}

static bool has_capability (json_object *plugin, const char *name)
{
  json_object *capabilities = NULL, *value = NULL;

  return json_object_object_get_ex (plugin, "capabilities", &capabilities) &&
         json_object_object_get_ex (capabilities, name, &value) && json_object_get_boolean (value);
}

static json_object *plugins_of (json_object *config)
{
  json_object *plugins = NULL;

  json_object_object_get_ex (config, "plugins", &plugins);
  return plugins;
}

/* What the administrator asked for must reach a plugin: without the capability it would silently
 * be ignored. */
static int check_capabilities (json_object *config, const struct settings *settings,
                               struct err *err)
{
  const struct {
    const char *name, *what;
    bool wanted;
  } needs[] = {
      {"ips", "addresses", settings->cni_addresses.count > 0},
      {"mac", "a MAC address", settings->cni_mac},
      {"portMappings", "port mappings", settings->port_count > 0},
  };
  json_object *plugins = plugins_of (config);

  for (size_t n = 0; n < sizeof needs / sizeof *needs; n++) {
    bool found = !needs[n].wanted;

    for (size_t i = 0; !found && i < json_object_array_length (plugins); i++)
      found = has_capability (json_object_array_get_idx (plugins, i), needs[n].name);
    if (!found)
      return err_code (err, ERR_USAGE,
                       "%s cannot be set: no plugin of its configuration has "
                       "\"capabilities\": {\"%s\": true}",
                       needs[n].what, needs[n].name);
  }
  return 0;
}

/* The dhcp plugin asks a daemon of its own, that nobody starts by himself. */
static int check_dhcp_daemon (json_object *ipam, const char *file, struct err *err)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = NULL;

  if (json_get_string (ipam, "daemonSocketPath", "/run/cni/dhcp.sock", &path, err) < 0)
    return err_wrap (err, "\"ipam\"");
  if (strlen (path) >= sizeof address.sun_path)
    return err_code (err, EINVAL, "\"daemonSocketPath\" is too long");
  memcpy (address.sun_path, path, strlen (path));
  autoclose int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return err_errno (err, "open a socket");
  if (connect (fd, (struct sockaddr *) &address, sizeof address) < 0) {
    err_errno (err, "%s", path);
    return err_wrap (err, "the daemon of the dhcp plugin does not answer: start \"%s daemon\"",
                     file);
  }
  return 0;
}

static int check_ipam (json_object *plugin, const char *path, struct err *err)
{
  autofree char *file = NULL;
  json_object *ipam = NULL;
  const char *type = NULL;

  if (json_get_object (plugin, "ipam", &ipam, err) < 0)
    return -err->code;
  if (!ipam || !json_object_object_get_ex (ipam, "type", NULL))
    return 0;
  if (json_get_string (ipam, "type", "", &type, err) < 0 ||
      cni_find_plugin (path, type, &file, err) < 0)
    return -err->code;
  return strcmp (type, "dhcp") == 0 ? check_dhcp_daemon (ipam, file, err) : 0;
}

static int check_config (json_object *config, const struct settings *settings, struct err *err)
{
  json_object *plugins = plugins_of (config);

  for (size_t i = 0; i < json_object_array_length (plugins); i++) {
    json_object *plugin = json_object_array_get_idx (plugins, i);
    autofree char *file = NULL;
    const char *type = NULL;

    if (json_get_string (plugin, "type", "", &type, err) < 0 ||
        cni_find_plugin (cni_plugin_path (), type, &file, err) < 0 ||
        check_ipam (plugin, cni_plugin_path (), err) < 0)
      return -err->code;
  }
  return check_capabilities (config, settings, err);
}

/* The configuration as it will be used. */
static int load (const struct settings *settings, json_object **ret_config, struct err *err)
{
  autojson json_object *config = NULL;

  if (cni_config_load (settings->cni_network, &config, err) < 0)
    return -err->code;
  if (check_config (config, settings, err) < 0)
    return err_wrap (err, "network %s", settings->cni_network);
  *ret_config = steal_ptr (&config);
  return 0;
}

int network_check (const struct settings *settings, struct err *err)
{
  autojson json_object *config = NULL;

  return settings->network == NETWORK_CNI ? load (settings, &config, err) : 0;
}

/* What is known of the network of a guest: the note. Strings are borrowed from it. */
struct note {
  json_object *object; /* owned */
  json_object *config;
  json_object *arguments;
  json_object *result; /* of the last plugin that gave one, or NULL */
  const char *network;
  const char *id;
  const char *interface;
  const char *path;
};

static void note_release (struct note *note)
{
  json_object_put (note->object);
}
#define autonote __attribute__ ((cleanup (note_release)))

static int note_take_apart (struct note *note, struct err *err)
{
  json_object *plugins = NULL;
  int64_t format = 0;

  if (json_get_int (note->object, "format", 0, &format, err) < 0 ||
      json_get_object (note->object, "config", &note->config, err) < 0 ||
      json_get_object (note->object, "arguments", &note->arguments, err) < 0 ||
      json_get_object (note->object, "result", &note->result, err) < 0 ||
      json_get_string (note->object, "id", NULL, &note->id, err) < 0 ||
      json_get_string (note->object, "interface", NULL, &note->interface, err) < 0 ||
      json_get_string (note->object, "path", NULL, &note->path, err) < 0)
    return -err->code;
  if (format != NOTE_FORMAT)
    return err_code (err, EINVAL, "its format is not known");
  if (!note->config || !note->arguments || !note->id || !note->interface || !note->path ||
      json_get_string (note->config, "name", NULL, &note->network, err) < 0 || !note->network ||
      !json_object_object_get_ex (note->config, "plugins", &plugins) ||
      !json_object_is_type (plugins, json_type_array))
    return err_code (err, EINVAL, "it is not complete");
  return 0;
}

/* 1, or 0 when there is none. */
static int note_read (int note_fd, struct note *note, struct err *err)
{
  if (faccessat (note_fd, note_name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
    return 0;
  if (json_read_file (note_fd, note_name, note_name, &note->object, err) < 0)
    return -err->code;
  if (note_take_apart (note, err) < 0)
    return err_wrap (err, "%s", note_name);
  return 1;
}

static void note_make (const struct settings *settings, const char *id, json_object *config,
                       struct note *note)
{
  note->object = json_object_new_object ();
  json_set_int (note->object, "format", NOTE_FORMAT);
  json_set_string (note->object, "id", id);
  json_set_string (note->object, "interface",
                   settings->cni_interface ? settings->cni_interface : "eth0");
  json_set_string (note->object, "path", cni_plugin_path ());
  add (note->object, "arguments", capability_arguments (settings));
  add (note->object, "config", json_object_get (config));
}

static int note_set_result (int note_fd, struct note *note, json_object *result, struct err *err)
{
  add (note->object, "result", json_object_get (result));
  note->result = result;
  return json_write_file (note_fd, note_name, note->object, err);
}

/* The configuration that plugin @i gets: the caller's. */
static json_object *plugin_config (const struct note *note, size_t i)
{
  json_object *plugin = json_object_array_get_idx (plugins_of (note->config), i), *version = NULL;
  json_object *config = json_object_new_object (), *given = json_object_new_object ();

  json_object_object_foreach (plugin, key, value) if (strcmp (key, "capabilities") != 0)
      json_object_object_add (config, key, json_object_get (value));
  json_object_object_foreach (note->arguments, name, argument) if (has_capability (plugin, name))
      json_object_object_add (given, name, json_object_get (argument));

  json_set_string (config, "name", note->network);
  if (json_object_object_get_ex (note->config, "cniVersion", &version))
    add (config, "cniVersion", json_object_get (version));
  if (json_object_object_length (given))
    add (config, "runtimeConfig", json_object_get (given));
  json_object_put (given);
  if (note->result)
    add (config, "prevResult", json_object_get (note->result));
  return config;
}

/* Plugins that masquerade learn the address from the device in the namespace: when that is gone
 * their rules would stay. They get a namespace that has such a device. 0 when it is not needed. */
static int make_stand_in (const struct note *note, json_object *config, int *ret_fd,
                          struct err *err)
{
  autojson json_object *summary = NULL, *found = NULL;
  json_object *value = NULL, *addresses = NULL;

  if (!json_object_object_get_ex (config, "ipMasq", &value) || !json_object_get_boolean (value))
    return 0;
  if (!note->result) {
    found = addresses = masquerade_addresses (note->id);
  } else {
    if (cni_result_summary (note->result, &summary, err) < 0)
      return -err->code;
    json_object_object_get_ex (summary, "addresses", &addresses);
  }
  if (netns_make_stand_in (note->interface, addresses, ret_fd, err) < 0)
    return -err->code;
  return 1;
}

/* @half_made: its ADD failed. */
static int delete_one (const struct note *note, size_t i, const char *netns_path, bool half_made,
                       struct err *err)
{
  autojson json_object *config = plugin_config (note, i);
  autofree char *stand_in_path = NULL;
  autoerr struct err first_err = {0};
  autoclose int stand_in = -1;
  struct cni_call call = {.command = "DEL",
                          .id = note->id,
                          .interface = note->interface,
                          .netns = netns_path,
                          .path = note->path};

  if (!netns_path && make_stand_in (note, config, &stand_in, &first_err) > 0) {
    stand_in_path = xasprintf ("/proc/%ld/fd/%d", (long) getpid (), stand_in);
    call.netns = stand_in_path;
    half_made = true;
  }
  /* Some take it for an error that there are no rules to remove: of an ADD that did not come to
   * them, or after a reboot of the host. Without a namespace a plugin must release what it can. */
  if (half_made && call.netns) {
    if (cni_run (&call, config, NULL, &first_err) == 0)
      return 0;
    call.netns = NULL;
  }
  return cni_run (&call, config, NULL, err);
}

/* DEL of the first @count plugins, the last first. One that fails keeps no other from releasing
 * what it has: the first error is told. */
static int delete_all (const struct note *note, size_t count, const char *netns_path,
                       bool last_half_made, struct err *err)
{
  int ret = 0;

  for (size_t i = count; i-- > 0;) {
    autoerr struct err one_err = {0};
    bool half_made = last_half_made && i == count - 1;

    if (delete_one (note, i, netns_path, half_made, &one_err) < 0 && ret == 0)
      ret = err_code (err, one_err.code, "%s", err_text (&one_err));
  }
  return ret;
}

static int remove_note (int note_fd, struct err *err)
{
  if (unlinkat (note_fd, note_name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", note_name);
  return 0;
}

int network_delete (int note_fd, const char *netns_path, struct err *err)
{
  autonote struct note note = {0};
  int ret = note_read (note_fd, &note, err);

  if (ret <= 0)
    return ret;
  if (delete_all (&note, json_object_array_length (plugins_of (note.config)), netns_path,
                  /* last_half_made= */ false, err) < 0)
    return err_code (err, err->code,
                     "release network %s: %s; it is tried again by the next start or stop; to give "
                     "up, remove %s from the guest's directory",
                     note.network, err_text (err), note_name);
  return remove_note (note_fd, err);
}

/* Runs all plugins; @ret_ran is the number of those that were started, also on failure. */
static int add_all (struct note *note, const char *netns_path, int note_fd, size_t *ret_ran,
                    struct err *err)
{
  size_t count = json_object_array_length (plugins_of (note->config));
  const struct cni_call call = {.command = "ADD",
                                .id = note->id,
                                .interface = note->interface,
                                .netns = netns_path,
                                .path = note->path};

  for (*ret_ran = 0; *ret_ran < count;) {
    autojson json_object *config = plugin_config (note, *ret_ran), *result = NULL;

    ++*ret_ran;
    if (cni_run (&call, config, &result, err) < 0 ||
        note_set_result (note_fd, note, result, err) < 0)
      return -err->code;
  }
  return 0;
}

int network_add (const struct settings *settings, const char *id, const char *netns_path,
                 int note_fd, json_object **ret_result, struct err *err)
{
  autoerr struct err delete_err = {0};
  autojson json_object *config = NULL;
  autonote struct note note = {0};
  size_t ran = 0;

  if (network_delete (note_fd, NULL, err) < 0 || load (settings, &config, err) < 0)
    return -err->code;
  note_make (settings, id, config, &note);
  if (note_take_apart (&note, err) < 0 ||
      json_write_file (note_fd, note_name, note.object, err) < 0)
    return err_wrap (err, "network %s", settings->cni_network);
  if (add_all (&note, netns_path, note_fd, &ran, err) == 0 &&
      cni_result_summary (note.result, ret_result, err) == 0)
    return 0;
  if (delete_all (&note, ran, netns_path, /* last_half_made= */ true, &delete_err) < 0)
    err_code (err, err->code, "%s; it could not be undone: %s", err_text (err),
              err_text (&delete_err));
  else
    (void) remove_note (note_fd, &delete_err);
  return err_wrap (err, "network %s", settings->cni_network);
}
