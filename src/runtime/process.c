/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "process.h"
#include "util/fd.h"
#include "util/json.h"

static json_object *user_object (const struct bundle_command *command)
{
  json_object *user = json_object_new_object (), *groups = json_object_new_array ();

  json_set_int (user, "uid", command->uid);
  json_set_int (user, "gid", command->gid);
  for (size_t i = 0; i < command->group_count; i++)
    if (json_object_array_add (groups, json_object_new_int64 (command->groups[i])) < 0)
      err_out_of_memory ();
  json_put (user, "additionalGids", groups);
  return user;
}

static int write_process (struct oci *oci, const struct bundle_command *command,
                          const struct process_terminal *terminal, const char *name,
                          struct err *err)
{
  autojson json_object *config = NULL;
  json_object *process = NULL;

  if (bundle_check_command (command, err) < 0 ||
      json_read_file (oci->dir_fd, "config.json", "the guest's bundle", &config, err) < 0 ||
      json_get_object (config, "process", &process, err) < 0)
    return -err->code;
  if (!process)
    json_put (config, "process", process = json_object_new_object ());
  json_put (process, "user", user_object (command));
  json_put (process, "args", json_new_strings (command->args));
  json_put (process, "env", json_new_strings (command->env));
  json_set_string (process, "cwd", command->cwd);
  json_set_bool (process, "terminal", terminal != NULL);
  json_object_object_del (process, "consoleSize");
  if (terminal && terminal->size.ws_row && terminal->size.ws_col) {
    json_object *size = json_object_new_object ();

    json_set_int (size, "height", terminal->size.ws_row);
    json_set_int (size, "width", terminal->size.ws_col);
    json_put (process, "consoleSize", size);
  }
  /* One that was killed may have had this name before. */
  if (unlinkat (oci->dir_fd, name, 0) < 0 && errno != ENOENT)
    return err_errno (err, "remove %s", name);
  return json_create_file (oci->dir_fd, name, process, err);
}

int process_exec (struct oci *oci, const struct bundle_command *command,
                  const struct oci_streams *streams, const struct process_terminal *terminal,
                  const char *name, pid_t *ret_pid, struct err *err)
{
  autofree char *process = xasprintf ("%s.json", name);
  autofree char *pid = xasprintf ("%s.pid", name);
  autofree char *process_path = xasprintf ("%s/%s", oci->path, process);
  autofree char *pid_path = xasprintf ("%s/%s", oci->path, pid);
  const char *args[] = {"exec",       "--detach", "--pid-file", pid_path, "--process",
                        process_path, oci->id,    NULL,         NULL,     NULL};

  if (terminal) {
    args[6] = "--console-socket";
    args[7] = terminal->socket;
    args[8] = oci->id;
  }
  int ret = write_process (oci, command, terminal, process, err);
  if (ret == 0)
    ret = oci_call (oci, args, streams, err);
  if (ret == 0)
    ret = oci_read_pid (oci, pid, ret_pid, err);
  const char *const names[] = {process, pid};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (unlinkat (oci->dir_fd, names[i], 0) < 0 && errno != ENOENT && ret == 0)
      ret = err_errno (err, "remove %s", names[i]);
  return ret;
}
