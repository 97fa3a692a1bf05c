/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "program.h"
#include "util/fd.h"
#include <grp.h>
#include <sys/fsuid.h>

void program_release (struct program *program)
{
  guestuser_release (&program->user);
  names_release (&program->env);
  free (program->env_list);
  *program = (struct program){0};
}

static void add_variable (struct names *env, const char *name, const char *value)
{
  size_t len = strlen (name);

  for (size_t i = 0; i < env->count; i++)
    if (strncmp (env->items[i], name, len) == 0 && env->items[i][len] == '=')
      return;
  if (!value)
    return;
  autofree char *variable = xasprintf ("%s=%s", name, value);
  names_add (env, variable);
}

static void take_user (struct program *program, bool login)
{
  const struct guestuser *user = &program->user;
  struct bundle_command *command = &program->command;

  command->uid = user->uid;
  command->gid = user->gid;
  command->groups = user->groups;
  command->group_count = user->group_count;
  add_variable (&program->env, "HOME", user->home);
  add_variable (&program->env, "USER", user->name);
  add_variable (&program->env, "LOGNAME", user->name);
  add_variable (&program->env, "SHELL", user->shell);
  if (!login)
    return;
  program->args[0] = user->shell;
  program->args[1] = "-l";
  command->args = program->args;
  if (!command->cwd)
    command->cwd = user->home;
}

int program_resolve (int root_fd, const struct bundle_command *command, bool login,
                     struct program *ret_program, struct err *err)
{
  const char *user = command->user ? command->user : login ? "root" : NULL;
  struct program *program = ret_program;

  *program = (struct program){.command = *command};
  if (user && guestuser_lookup (root_fd, user, &program->user, err) < 0)
    return -err->code;
  for (const char *const *variable = command->env; *variable; variable++)
    names_add (&program->env, *variable);
  if (user)
    take_user (program, login);
  program->env_list = xcalloc (program->env.count + 1, sizeof *program->env_list);
  for (size_t i = 0; i < program->env.count; i++)
    program->env_list[i] = program->env.items[i];
  program->command.env = program->env_list;
  return 0;
}

/* By the ids that count for file systems. */
static bool may_execute (int fd)
{
  return faccessat (fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
}

static int find (int root_fd, const struct bundle_command *command, char **ret_text)
{
  const char *name = command->args[0];
  const char *path = BUNDLE_PATH_VARIABLE + strlen ("PATH=");
  bool found = false;

  for (const char *const *env = command->env; *env; env++)
    if (strncmp (*env, "PATH=", 5) == 0)
      path = *env + 5;
  if (strchr (name, '/'))
    path = "-"; /* looked at once */
  while (*path) {
    size_t len = strcspn (path, ":");
    autofree char *file = strchr (name, '/') == NULL ? xasprintf ("%.*s/%s", (int) len, path, name)
                          : name[0] == '/'           ? xstrdup (name)
                                                     : xasprintf ("%s/%s", command->cwd, name);
    autoclose int fd = *name ? fd_open_in_root (root_fd, file, O_PATH, 0) : -1;
    struct stat st;

    if (fd >= 0 && fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && (st.st_mode & 0111) &&
        may_execute (fd))
      return 0;
    found |= fd >= 0 || (*name && errno == EACCES);
    path += len;
    if (*path)
      path++;
  }
  *ret_text =
      xasprintf ("vguest: %s: %s\n", name,
                 found ? "cannot be executed in the guest" : "no such command in the guest");
  return found ? 126 : 127;
}

int program_check (int root_fd, struct program *program, char **ret_text, int *ret_status,
                   struct err *err)
{
  struct bundle_command *command = &program->command;

  if (setgroups (command->group_count, command->groups) < 0)
    return err_errno (err, "take the groups of the command's user");
  /* These two tell of no errors; as root they cannot fail. */
  setfsgid (command->gid);
  setfsuid (command->uid);
  if (program->args[0]) {
    autoclose int home = fd_open_in_root (root_fd, command->cwd, O_PATH | O_DIRECTORY, 0);

    if (home < 0 || !may_execute (home))
      command->cwd = "/";
  }
  *ret_status = find (root_fd, command, ret_text);
  setfsuid (0);
  setfsgid (0);
  return setgroups (0, NULL) < 0 ? err_errno (err, "drop the groups of the command's user") : 0;
}
