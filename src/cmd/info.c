/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest-info [NAME]: facts of the host, or of a guest. What --json prints is made first; the text
 * is made of it. */
#include "cmd.h"
#include "guest/base.h"
#include "runtime/cni.h"
#include "runtime/hostfacts.h"
#include "runtime/live.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "util/fd.h"
#include <time.h>

static const char usage_text[] =
    "Usage: vguest-info [--json] [NAME]\n"
    "Tells about this host: version, state root, OCI runtime and why it was chosen, control\n"
    "groups, what kernel and file system can do, networks. With NAME about that guest.\n";

static json_object *string_or_null (const char *text)
{
  return text ? json_object_new_string (text) : NULL;
}

static void add_string (json_object *object, const char *key, const char *text)
{
  json_object_object_add (object, key, string_or_null (text));
}

static json_object *names_to_json (const struct names *names)
{
  json_object *array = json_object_new_array ();

  for (size_t i = 0; i < names->count; i++)
    json_object_array_add (array, json_object_new_string (names->items[i]));
  return array;
}

/* "2026-11-23 21:04:05": the caller's string; NULL when @seconds is 0. */
static char *format_time (int64_t seconds)
{
  time_t when = (time_t) seconds;
  char text[64];
  struct tm tm;

  if (!seconds || !localtime_r (&when, &tm) ||
      !strftime (text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &tm))
    return NULL;
  return xstrdup (text);
}

/* Host. */

/* The runtime that guests without a setting of their own get, and what was tried. */
static void add_runtime (struct vroot *root, json_object *host)
{
  autoerr struct err runtime_err = {0};
  autofree char *path = NULL;
  autojson json_object *no_settings = json_object_new_object ();
  struct guest guest = {.name = (char[]){""}, .fd = -1, .lock_fd = -1, .config = no_settings};
  json_object *runtime = json_object_new_object ();

  bool found = runtime_choose (root, &guest, &path, &runtime_err) == 0;
  autofree char *init = runtime_find_init ();
  add_string (runtime, "path", path);
  add_string (runtime, "error", found ? NULL : err_text (&runtime_err));
  json_object_object_add (runtime, "tried", hostfacts_runtimes (root));
  json_object_object_add (host, "runtime", runtime);
  add_string (host, "init", init);
}

static int add_counts (struct vroot *root, json_object *host, struct err *err)
{
  autonames struct names names = {0};
  json_object *guests = json_object_new_object ();
  int64_t running = 0;

  if (guest_list (root, &names, err) < 0)
    return -err->code;
  for (size_t i = 0; i < names.count; i++) {
    autoerr struct err ignored = {0};
    autoguest struct guest *guest = NULL;

    /* A guest that is damaged, or went away, does not run. */
    running += guest_open (root, names.items[i], GUEST_PEEK, &guest, &ignored) == 0 &&
               guest_running (guest, &ignored) > 0;
  }
  json_set_int (guests, "total", (int64_t) names.count);
  json_set_int (guests, "running", running);
  json_object_object_add (host, "guests", guests);
  return 0;
}

static int host_to_json (struct vroot *root, json_object *host, struct err *err)
{
  autohostfacts struct hostfacts facts = {0};
  const char *run_dir = root_run_dir (root, err);
  const char *conf = getenv ("CNI_CONF_PATH");

  if (!run_dir || hostfacts_read (root, &facts, err) < 0)
    return -err->code;
  json_set_string (host, "version", PACKAGE_VERSION);
  json_set_string (host, "kernel", facts.kernel);
  json_set_string (host, "root", root->path);
  json_set_int (host, "format", ROOT_FORMAT);
  json_set_string (host, "id", root->id);
  json_set_string (host, "run_dir", run_dir);
  json_set_string (host, "file_system", facts.file_system);
  json_set_string (host, "cgroups", facts.cgroups);
  json_object *features = json_object_new_object ();
  json_object_object_add (host, "features", features);
  json_set_bool (features, "overlay", facts.overlay);
  json_set_bool (features, "metacopy", facts.metacopy);
  json_set_bool (features, "idmapped_mounts", facts.idmapped);
  json_set_bool (features, "reflink", facts.reflink);
  json_set_bool (features, "fs_verity", facts.verity);
  json_object *cni = json_object_new_object ();
  json_object_object_add (host, "cni", cni);
  json_set_string (cni, "configurations", conf && *conf ? conf : "/etc/cni/net.d");
  json_set_string (cni, "plugins", cni_plugin_path ());
  add_runtime (root, host);
  return add_counts (root, host, err);
}

static const char *text_of (json_object *object, const char *key)
{
  json_object *value = json_object_object_get (object, key);

  return value ? json_object_get_string (value) : "-";
}

static void print_line (const char *what, const char *text)
{
  printf ("%-16s %s\n", what, text);
}

static void print_runtime (json_object *runtime)
{
  json_object *tried = json_object_object_get (runtime, "tried");

  print_line ("runtime", json_object_object_get (runtime, "path") ? text_of (runtime, "path")
                                                                  : text_of (runtime, "error"));
  for (size_t i = 0; i < json_object_array_length (tried); i++) {
    json_object *program = json_object_array_get_idx (tried, i);
    json_object *reason = json_object_object_get (program, "reason");
    autofree char *text =
        xasprintf ("%s: %s", text_of (program, "path"),
                   reason ? json_object_get_string (reason) : "ran a container of this host");

    print_line ("", text);
  }
}

static void print_host (json_object *host)
{
  json_object *features = json_object_object_get (host, "features");
  json_object *guests = json_object_object_get (host, "guests");
  json_object *cni = json_object_object_get (host, "cni");
  autofree char *counts =
      xasprintf ("%s, %s of them running", text_of (guests, "total"), text_of (guests, "running"));
  static const char *const lines[][2] = {
      {"version", "version"},
      {"kernel", "kernel"},
      {"state root", "root"},
      {"format", "format"},
      {"id", "id"},
      {"run directory", "run_dir"},
      {"file system", "file_system"},
      {"control groups", "cgroups"},
      {"init", "init"},
  };

  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
    print_line (lines[i][0], text_of (host, lines[i][1]));
  print_runtime (json_object_object_get (host, "runtime"));
  json_object_object_foreach (features, key, value)
  {
    autofree char *name = xstrdup (key);

    for (char *c = name; *c; c++)
      *c = *c == '_' ? ' ' : *c;
    print_line (name, json_object_get_boolean (value) ? "yes" : "no");
  }
  print_line ("networks in", text_of (cni, "configurations"));
  print_line ("CNI plugins in", text_of (cni, "plugins"));
  print_line ("guests", counts);
}

/* Guest. */

static const char *state_of (struct vroot *root, struct guest *guest, const struct live_info *info,
                             struct err *err)
{
  if (info->state == LIVE_STARTING)
    return "starting";
  if (info->state == LIVE_STOPPING)
    return "stopping";
  return guest_state_name (root, guest, err);
}

/* The lock file is touched at each start. */
static int64_t last_start (struct guest *guest, const struct live_info *info)
{
  struct stat st;

  if (info->state != LIVE_STOPPED && info->started)
    return info->started;
  return fstatat (guest->fd, "running", &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mtim.tv_sec : 0;
}

static void add_live (struct guest *guest, const struct live_info *info, json_object *object)
{
  bool runs = info->state != LIVE_STOPPED;
  autofree char *root =
      runs && info->init_pid ? xasprintf ("/proc/%ld/root", (long) info->init_pid) : NULL;
  int64_t started = last_start (guest, info);

  json_object_object_add (object, "pid",
                          runs && info->init_pid ? json_object_new_int64 (info->init_pid) : NULL);
  json_object_object_add (object, "monitor_pid",
                          runs && info->monitor_pid ? json_object_new_int64 (info->monitor_pid)
                                                    : NULL);
  add_string (object, "root", root);
  add_string (object, "init_style", runs ? init_style_name (info->init) : NULL);
  add_string (object, "container", info->id);
  add_string (object, "runtime", info->runtime);
  json_object_object_add (object, "addresses", names_to_json (&info->addresses));
  json_object_object_add (object, "started", started ? json_object_new_int64 (started) : NULL);
}

static void add_settings (const struct settings *settings, json_object *object)
{
  static const char *const networks[] = {"host", "none", "cni"};

  json_set_string (object, "hostname", settings->hostname);
  json_set_string (object, "init", init_style_name (settings->init));
  json_set_string (object, "network", networks[settings->network]);
  json_set_bool (object, "autostart", settings->autostart);
  json_object_object_add (object, "depends", names_to_json (&settings->depends));
  json_object_object_add (object, "labels", names_to_json (&settings->labels));
  add_string (object, "notes", settings->notes);
}

static int guest_to_json (struct vroot *root, struct guest *guest, json_object *object,
                          struct err *err)
{
  autoliveinfo struct live_info info = {0};
  autosettings struct settings settings = {0};
  autoguestbase struct guest_base base = {0};
  const char *template = NULL, *created = NULL;
  int64_t generation = 0;

  if (live_info_read (root, guest, &info, err) < 0 || guest_base_read (guest->fd, &base, err) < 0)
    return -err->code;
  const char *state = state_of (root, guest, &info, err);
  if (!state || json_get_string (guest->state, "template", NULL, &template, err) < 0 ||
      json_get_string (guest->state, "created", NULL, &created, err) < 0 ||
      json_get_int (guest->state, "generation", 0, &generation, err) < 0 ||
      settings_parse (guest->config, guest->name, &settings, err) < 0)
    return -err->code;
  autofree char *dir = xasprintf ("%s/guests/%s", root->path, guest->name);
  autofree char *config = xasprintf ("%s/config.json", dir);
  autofree char *log = xasprintf ("%s/log", dir);
  json_set_string (object, "name", guest->name);
  json_set_string (object, "state", state);
  add_string (object, "template", template);
  json_object_object_add (object, "generation",
                          generation ? json_object_new_int64 (generation) : NULL);
  json_set_bool (object, "thin", base.template != NULL);
  add_string (object, "created", created);
  add_live (guest, &info, object);
  add_settings (&settings, object);
  json_set_string (object, "config", config);
  json_set_string (object, "log_dir", log);
  return 0;
}

static char *join (json_object *array)
{
  autostrbuf struct strbuf text = STRBUF_INIT (1 << 20);

  for (size_t i = 0; i < json_object_array_length (array); i++)
    strbuf_addf (&text, "%s%s", i ? ", " : "",
                 json_object_get_string (json_object_array_get_idx (array, i)));
  return xstrdup (text.len ? strbuf_str (&text) : "-");
}

static void print_guest (json_object *guest)
{
  static const char *const lines[][2] = {
      {"name", "name"},           {"state", "state"},
      {"template", "template"},   {"generation", "generation"},
      {"thin", "thin"},           {"created", "created"},
      {"last start", "started"},  {"pid", "pid"},
      {"root", "root"},           {"hostname", "hostname"},
      {"init", "init"},           {"found init", "init_style"},
      {"runtime", "runtime"},     {"container", "container"},
      {"network", "network"},     {"addresses", "addresses"},
      {"autostart", "autostart"}, {"depends on", "depends"},
      {"labels", "labels"},       {"notes", "notes"},
      {"settings", "config"},     {"logs", "log_dir"},
  };

  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    json_object *value = json_object_object_get (guest, lines[i][1]);
    autofree char *text = NULL;

    if (json_object_is_type (value, json_type_array))
      text = join (value);
    else if (strcmp (lines[i][1], "started") == 0)
      text = format_time (json_object_get_int64 (value));
    else if (json_object_is_type (value, json_type_boolean))
      text = xstrdup (json_object_get_boolean (value) ? "yes" : "no");
    else if (value)
      text = xstrdup (json_object_get_string (value));
    print_line (lines[i][0], text ? text : "-");
  }
}

int cmd_info (struct context *context, int argc, char **argv, struct err *err)
{
  static const struct option_spec none[] = {{NULL, 0, NULL, NULL, NULL, NULL, NULL}};
  autoroot struct vroot *root = NULL;
  autoguest struct guest *guest = NULL;
  autojson json_object *object = json_object_new_object ();
  int first, dashes;

  if (options_parse (context, none, /* stop_early= */ false, usage_text, argc, argv, &first,
                     &dashes, err) < 0)
    return -err->code;
  if (first + 1 < argc)
    return err_code (err, ERR_USAGE, "one guest is expected; there is \"%s\" as well",
                     argv[first + 1]);
  if (context_open_root (context, /* write= */ false, &root, err) < 0)
    return -err->code;
  if (first < argc) {
    if (guest_open (root, argv[first], GUEST_PEEK, &guest, err) < 0 ||
        guest_to_json (root, guest, object, err) < 0)
      return -err->code;
  } else if (host_to_json (root, object, err) < 0) {
    return -err->code;
  }
  if (context->json)
    print_json (object);
  else if (guest)
    print_guest (object);
  else
    print_host (object);
  return 0;
}
