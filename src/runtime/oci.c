/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oci.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/subprocess.h"
#include <sys/mount.h>

enum { LOG_MAX = 1 << 20, ARGS_MAX = 40 };

int oci_mount (struct oci *oci, const char *path, struct err *err)
{
  if (mount ("vguest", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
    return err_errno (err, "mount a tmpfs on %s", path);
  autoclose int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return err_errno (err, "open %s", path);
  if (mkdirat (fd, "rootfs", 0755) < 0 || mkdirat (fd, "state", 0700) < 0)
    return err_errno (err, "make directories in %s", path);
  return oci_open (oci, path, NULL, err);
}

int oci_open (struct oci *oci, const char *path, const char *log_name, struct err *err)
{
  oci->dir_fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (oci->dir_fd < 0)
    return err_errno (err, "open %s", path);
  oci->null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  if (oci->null_fd < 0)
    return err_errno (err, "open /dev/null");
  oci->path = xstrdup (path);
  oci->root_path = xasprintf ("%s/rootfs", path);
  oci->state_path = xasprintf ("%s/state", path);
  oci->log_name = xstrdup (log_name ? log_name : "log");
  oci->log_path = xasprintf ("%s/%s", path, oci->log_name);
  return 0;
}

void oci_release (struct oci *oci)
{
  cleanup_close (&oci->dir_fd);
  cleanup_close (&oci->null_fd);
  oci->dir_fd = -1;
  oci->null_fd = -1;
  cleanup_free (&oci->path);
  cleanup_free (&oci->root_path);
  cleanup_free (&oci->state_path);
  cleanup_free (&oci->log_name);
  cleanup_free (&oci->log_path);
  oci->path = oci->root_path = oci->state_path = oci->log_name = oci->log_path = NULL;
}

/* The last error in the runtime's log, whose lines are JSON objects with level and msg. */
static char *last_message (struct oci *oci)
{
  autoerr struct err ignored = {0};
  autofree char *text = NULL, *message = NULL;
  char *save = NULL;

  if (fd_read_file (oci->dir_fd, oci->log_name, LOG_MAX, &text, NULL, &ignored) < 0)
    return NULL;
  for (char *line = strtok_r (text, "\n", &save); line; line = strtok_r (NULL, "\n", &save)) {
    autojson json_object *object = NULL;
    const char *msg = NULL;

    if (json_parse_object (line, strlen (line), "log", &object, &ignored) < 0)
      msg = line;
    else if (json_get_string (object, "msg", NULL, &msg, &ignored) < 0 || !msg)
      continue;
    free (message);
    message = xstrdup (msg);
  }
  return steal_ptr (&message);
}

int oci_call (struct oci *oci, const char *const *args, const struct oci_streams *streams,
              struct err *err)
{
  const char *argv[ARGS_MAX + 8] = {oci->runtime,  "--root",       oci->state_path, "--log",
                                    oci->log_path, "--log-format", "json"};
  struct subprocess sub = {
      .argv = argv,
      .stdin_fd = streams && streams->in >= 0 ? streams->in : -1,
      .stdout_fd = streams ? streams->out : oci->null_fd,
      .stderr_fd = streams ? streams->error : oci->null_fd,
  };
  size_t n = 7;
  pid_t pid = -1;
  int status = 0;

  for (; *args && n < ARGS_MAX + 7; args++)
    argv[n++] = *args;
  if (*args)
    return err_code (err, E2BIG, "too many arguments for %s %s", oci->runtime, argv[7]);
  argv[n] = NULL;
  if (unlinkat (oci->dir_fd, oci->log_name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", oci->log_path);
  if (subprocess_start (&sub, &pid, err) < 0)
    return -err->code;
  int ret = oci->wait ? oci->wait (oci->wait_data, pid, &status, err)
                      : subprocess_wait (pid, &status, err);
  if (ret < 0 || status == 0)
    return ret;
  autofree char *message = last_message (oci);
  autofree char *end = subprocess_describe (status);
  return err_code (err, EIO, "%s %s: %s", oci->runtime, argv[7], message ? message : end);
}

int oci_read_pid (struct oci *oci, const char *name, pid_t *ret_pid, struct err *err)
{
  autofree char *text = NULL;
  char *end;

  if (fd_read_file (oci->dir_fd, name, 64, &text, NULL, err) < 0)
    return err_wrap (err, "the runtime's pid file");
  long pid = strtol (text, &end, 10);
  if (pid < 2 || (*end && *end != '\n'))
    return err_code (err, EIO, "the runtime's pid file says \"%s\"", text);
  *ret_pid = (pid_t) pid;
  return 0;
}

/* create or run, and the pid of what it made. */
static int make (struct oci *oci, const char *verb, bool detach, const struct oci_streams *streams,
                 const char *console_socket, pid_t *ret_pid, struct err *err)
{
  autofree char *pid_path = xasprintf ("%s/pid", oci->path);
  const char *args[10] = {verb, "--bundle", oci->path, "--pid-file", pid_path};
  size_t n = 5;

  if (detach)
    args[n++] = "--detach";
  if (console_socket) {
    args[n++] = "--console-socket";
    args[n++] = console_socket;
  }
  args[n] = oci->id;
  if (oci_call (oci, args, streams, err) < 0)
    return -err->code;
  return oci_read_pid (oci, "pid", ret_pid, err);
}

int oci_create (struct oci *oci, const struct oci_streams *streams, const char *console_socket,
                pid_t *ret_pid, struct err *err)
{
  return make (oci, "create", /* detach= */ false, streams, console_socket, ret_pid, err);
}

int oci_run (struct oci *oci, const struct oci_streams *streams, const char *console_socket,
             pid_t *ret_pid, struct err *err)
{
  return make (oci, "run", /* detach= */ true, streams, console_socket, ret_pid, err);
}

int oci_start (struct oci *oci, struct err *err)
{
  const char *const args[] = {"start", oci->id, NULL};

  return oci_call (oci, args, NULL, err);
}

int oci_delete (struct oci *oci, struct err *err)
{
  const char *const args[] = {"delete", oci->id, NULL};

  return oci_call (oci, args, NULL, err);
}
