/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a running guest is made of. */
#include "bundle.h"
#include "monitor_internal.h"
#include "program.h"
#include "pty.h"
#include "resources.h"
#include "tree/lower.h"
#include "tree/overlay.h"
#include "util/cgroup.h"
#include "util/fd.h"
#include <sys/mount.h>

enum { SWEEP_TIMEOUT_MS = 10000 };

/* The layers are opened anew, by the working directory: see overlay_enter_namespace. */
static int mount_root (struct monitor *m, struct err *err)
{
  autolower struct lower layers = LOWER_NONE;
  autoclose int upper = m->start->trial ? fd_open_dir_beneath (AT_FDCWD, "txn/upper") : -1;
  autoclose int work = fd_open_dir_beneath (AT_FDCWD, m->start->trial ? "txn/work" : "work");

  if (work < 0 || (m->start->trial && upper < 0))
    return err_errno (err, "open the layers of guest %s", m->name);
  if (lower_open (AT_FDCWD, /* with_private= */ true, &layers, err) < 0)
    return err_wrap (err, "guest %s", m->name);
  const int lower[] = {layers.priv, layers.tree, layers.base};
  const size_t shared = layers.base >= 0 ? 2 : 1;
  struct overlay overlay = {
      .lower_fds = m->start->trial ? lower : lower + 1,
      .lower_count = m->start->trial ? shared + 1 : shared,
      .upper_fd = m->start->trial ? upper : layers.priv,
      .work_fd = work,
      .nodev = true,
  };
  if (overlay_open_data (AT_FDCWD, &overlay, err) < 0)
    return err_wrap (err, "guest %s", m->name);
  autoclose int data_fd = overlay.data_fd;
  if (overlay_mount (&overlay, m->oci.root_path, err) < 0)
    return -err->code;
  m->root_fd = open (m->oci.root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (m->root_fd < 0 || chdir ("/") < 0)
    return err_errno (err, "open the guest's root");
  for (const char *const *point = bundle_mount_points; *point; point++)
    if (targets_prepare (&m->targets, m->root_fd, *point, /* directory= */ true, err) < 0)
      return -err->code;
  return resources_prepare (m->start->settings, m->root_fd, &m->targets, err);
}

static int join_network (struct monitor *m, struct err *err)
{
  const struct monitor_start *start = m->start;
  autofree char *dir = xasprintf ("%s/net", start->run_path);
  const struct network_place place = {
      .id = start->id,
      .dir = dir,
      .host_pid = monitor_host_pid (m, getpid ()),
      .guest_fd = start->guest->fd,
      .root_fd = m->root_fd,
  };

  return network_join (&m->network, start->settings, &place, err);
}

/* Whom a plain guest's command runs as, or NULL: root. */
static const char *plain_user (const struct monitor *m)
{
  return m->spec->style == INIT_PLAIN ? m->start->settings->user : NULL;
}

/* The variables of init: ours, where the settings do not have them, and theirs. */
static void fill_env (const struct monitor *m, const char **env)
{
  const struct names *own = &m->start->settings->environment;
  const char *const defaults[] = {
      BUNDLE_PATH_VARIABLE,
      "LANG=C.UTF-8",
      m->spec->of_guest ? "TERM=vt220" : "TERM=dumb",
      plain_user (m) ? m->spec->container : "HOME=/root", /* a user has a home of its own */
      plain_user (m) ? NULL : m->spec->container,
      NULL,
  };
  size_t n = 0;

  for (const char *const *variable = defaults; *variable; variable++)
    if (!environment_has (own, *variable))
      env[n++] = *variable;
  for (size_t i = 0; i < own->count; i++)
    env[n++] = own->items[i];
  env[n] = NULL;
}

/* A program that is not there would else be told by the init above it, in the log. */
static int check_program (struct monitor *m, struct program *program, struct err *err)
{
  const struct bundle_command *command = &program->command;
  autofree char *text = NULL;
  int status = 0;

  if (!command->args[0])
    return 0;
  if (program_check (m->root_fd, program, &text, &status, err) < 0)
    return -err->code;
  if (!status)
    return 0;
  return err_code (err, ENOENT, "%s: %s", command->args[0],
                   status == 127 ? "no such command in the guest"
                                 : "it cannot be executed in the guest");
}

static int write_bundle (struct monitor *m, struct err *err)
{
  const struct settings *settings = m->start->settings;
  autofree const char **args = xcalloc (settings->command.count + 1, sizeof *args);
  autofree const char **env = xcalloc (settings->environment.count + 8, sizeof *env);
  struct bundle_command command = {.args = args, .env = env, .cwd = "/", .user = plain_user (m)};
  autoprogram struct program program = {0};
  const struct bundle_bind view = {m->view.path, GUESTVIEW_TARGET};
  struct bundle bundle = {
      .id = m->start->id,
      .root = m->oci.root_path,
      .hostname = settings->hostname,
      .init = m->spec->of_guest ? NULL : m->start->host_init,
      .init_spec = m->spec,
      .netns = m->network.netns_path,
      .settings = settings,
      .binds = &view,
      .bind_count = 1,
  };
  autojson json_object *config = NULL;

  if (m->spec->args)
    command.args = m->spec->args;
  for (size_t i = 0; i < settings->command.count; i++)
    args[i] = settings->command.items[i];
  if (!command.args[0] && !bundle.init)
    return err_code (err, EOPNOTSUPP,
                     "there is nothing to run in it: install catatonit on the host, which keeps a "
                     "guest without an init alive, or set a \"command\"");
  if (m->spec->style == INIT_PLAIN && settings->working_dir)
    command.cwd = settings->working_dir;
  fill_env (m, env);
  if (program_resolve (m->root_fd, &command, /* login= */ false, &program, err) < 0 ||
      check_program (m, &program, err) < 0 ||
      bundle_config (&bundle, &program.command, &config, err) < 0)
    return -err->code;
  return json_write_file (m->oci.dir_fd, "config.json", config, err);
}

int monitor_prepare (struct monitor *m, struct err *err)
{
  if (oci_mount (&m->oci, m->start->mount_on, err) < 0 || mount_root (m, err) < 0 ||
      guestview_open (&m->view, m->oci.dir_fd, m->oci.path, m->start->guest, err) < 0 ||
      init_choose (m->start->settings, m->root_fd, &m->spec, err) < 0 || join_network (m, err) < 0)
    return -err->code;
  return write_bundle (m, err);
}

/* With a terminal, whose master the runtime sends: it is served before init begins to write. */
static int start_on_terminal (struct monitor *m, struct err *err)
{
  const struct oci_streams streams = {-1, m->oci.null_fd, m->oci.null_fd};
  autofree char *path = xasprintf ("%s/console.sock", m->oci.path);
  autoclose int listen_fd = -1;
  int master = -1;

  if (unlink (path) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", path);
  if (pty_listen (path, &listen_fd, err) < 0 ||
      oci_create (&m->oci, &streams, path, &m->init_pid, err) < 0 ||
      pty_receive (listen_fd, &master, err) < 0)
    return -err->code;
  if (console_set_output (&m->console, master, /* terminal= */ true, err) < 0)
    return -err->code;
  return oci_start (&m->oci, err);
}

static int start_on_pipe (struct monitor *m, struct err *err)
{
  int output[2];

  if (pipe2 (output, O_CLOEXEC) < 0)
    return err_errno (err, "make a pipe");
  autoclose int write_end = output[1];
  if (console_set_output (&m->console, output[0], /* terminal= */ false, err) < 0)
    return -err->code;
  const struct oci_streams streams = {-1, write_end, write_end};
  return oci_run (&m->oci, &streams, NULL, &m->init_pid, err);
}

int monitor_start_init (struct monitor *m, struct err *err)
{
  m->init_ended = false;
  m->init_pid = 0;
  /* What ran before may have replaced them. */
  if (targets_check_links (m->root_fd, err) < 0)
    return -err->code;
  int ret = m->spec->of_guest ? start_on_terminal (m, err) : start_on_pipe (m, err);
  if (ret < 0)
    return ret;
  m->started = time (NULL);
  return 0;
}

static void keep_first (struct err *err, struct err *more)
{
  if (more->code && !err->code)
    err_code (err, more->code, "%s", err_text (more));
  err_release (more);
}

void monitor_undo (struct monitor *m, struct err *err)
{
  autoerr struct err more = {0};

  if (m->console.fd >= 0)
    console_drain (&m->console);
  if (network_leave (&m->network, &more) < 0)
    keep_first (err, &more);
  if (targets_undo (&m->targets, &more) < 0)
    keep_first (err, &more);
  if (m->root_fd >= 0) {
    close (m->root_fd);
    if (umount2 (m->oci.root_path, 0) < 0) {
      err_errno (&more, "unmount the guest's root");
      keep_first (err, &more);
    }
  }
  if (cgroup_sweep (m->start->id, SWEEP_TIMEOUT_MS, &more) < 0)
    keep_first (err, &more);
  unlinkat (m->start->run_fd, MONITOR_SOCKET, 0);
  unlinkat (m->start->run_fd, MONITOR_STATE, 0);
  unlinkat (m->start->run_fd, MONITOR_PID, 0);
  unlinkat (m->start->run_fd, CONSOLE_SOCKET, 0);
  rmdir (m->start->run_path);
}
