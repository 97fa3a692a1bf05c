/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs of the host that fill a directory: bootstrap programs, rsync.
 *
 * They are run in pid and mount namespaces of their own, so that no process and no mount of theirs
 * outlives this one. What they write goes to a log in the import's scratch space, and its end into
 * the error when they fail. */
#ifndef VG_TEMPLATE_HOSTPROGRAM_H
#define VG_TEMPLATE_HOSTPROGRAM_H

#include "guest/names.h"
#include "template/import.h"

struct hostprogram {
  const char *package; /* Debian's, that has it: for the message when it is not there */
  struct names args;   /* owned; the program first, looked for in PATH */
  struct names env;    /* owned; NAME=VALUE, beside PATH, HOME, the locale and the proxies */
  bool callers;        /* with all of the caller's environment instead */

  /* An absolute path, or NULL: a tree that the program installs into. /proc, /dev and /run are
   * mounted there for what is run in it. */
  const char *root;
};
#define autohostprogram __attribute__ ((cleanup (hostprogram_release)))

void hostprogram_release (struct hostprogram *program);

/* Adds words to the command line. */
#define hostprogram_add(program, ...)                                                              \
  hostprogram_add_list (program, (const char *const[]){__VA_ARGS__, NULL})

/* The same for a list that ends with NULL. */
void hostprogram_add_list (struct hostprogram *program, const char *const *words);
void hostprogram_addf (struct hostprogram *program, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

/* Adds NAME=VALUE to its environment. */
void hostprogram_setenv (struct hostprogram *program, const char *variable);

/* Runs it to its end. ENOENT with the package when it is not installed; EIO with the end of what it
 * said when it fails; ERR_INTERRUPTED after a signal, when all of it has ended. */
int hostprogram_run (const struct hostprogram *program, struct import *import, struct err *err);

/* Makes the empty directory @name in the import's scratch space. @ret_path is the caller's. */
int hostprogram_target (struct import *import, const char *name, char **ret_path, int *ret_fd,
                        struct err *err);

#endif
