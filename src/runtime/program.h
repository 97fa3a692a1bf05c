/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command as it is run in a guest: its user looked up there, and its program looked for, as a
 * runtime's own words for a missing one would be taken for its failure. */
#ifndef VG_RUNTIME_PROGRAM_H
#define VG_RUNTIME_PROGRAM_H

#include "guest/names.h"
#include "runtime/bundle.h"
#include "runtime/guestuser.h"

struct program {
  struct bundle_command command; /* borrows from all below and from what it was made of */
  struct guestuser user;         /* owned; empty when there was none to look up */
  struct names env;              /* owned */
  const char **env_list;         /* owned */
  const char *args[3];           /* of a login shell; borrowed */
};

void program_release (struct program *program);
#define autoprogram __attribute__ ((cleanup (program_release)))

/* Takes @command, and looks its user up in the guest's root @root_fd: HOME, USER, LOGNAME and SHELL
 * are set where its environment does not have them. With @login the program is the shell of the
 * user (else root's), and without a cwd it starts in its home. The strings of @command must outlive
 * it. ERR_USAGE when there is no such user. */
int program_resolve (int root_fd, const struct bundle_command *command, bool login,
                     struct program *ret_program, struct err *err);

/* Looks for the program by its PATH and directory, with the file system rights of its user; this
 * process, which is root and has no second thread, takes these for a moment. As execvp and a shell
 * say it, *@ret_status is 127 when it is not there, 126 when it cannot be executed, and @ret_text a
 * line for the user then, the caller's; else 0. A login's home that cannot be entered becomes "/".
 */
int program_check (int root_fd, struct program *program, char **ret_text, int *ret_status,
                   struct err *err);

#endif
