/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for apt: what a command line of apt-get is about, and how it is run without a person.
 *
 * Questions are never asked: debconf's noninteractive frontend, the guest's own version of a
 * changed configuration file is kept. apt's package caches are switched off, as they take 78 MB in
 * each guest and differ from run to run. Phased updates depend on an id: all guests of one state
 * root get the same one, so that they get the same upgrades. */
#ifndef VG_PKG_APT_H
#define VG_PKG_APT_H

#include "guest/guest.h"
#include "runtime/bundle.h"

struct apt_request {
  const char *const *args; /* borrowed; NULL-terminated: what follows "--" */
  const char *verb;        /* borrowed; "" when there is none */
  bool read_only;          /* changes nothing: its output is for the user */
  bool update;             /* fetches the package lists */
  bool needs_lists;        /* needs them */
  bool may_do_nothing;     /* with no package changed anywhere there was nothing to do */
};

/* Understands @args as apt-get would. ERR_USAGE when there is nothing, or an option that needs an
 * argument has none. */
int apt_classify (const char *const *args, struct apt_request *ret_request, struct err *err);

/* Has the guest any package lists? Returns 1, 0 or negative. */
int apt_has_lists (struct guest *guest, struct err *err);

struct apt_commands {
  struct bundle_command items[2];
  size_t count;
  struct names strings; /* owned; what the pointers lead to */
  const char **args[2]; /* owned */
  const char **env;     /* owned */
};
void apt_commands_release (struct apt_commands *commands);
#define autoaptcommands __attribute__ ((cleanup (apt_commands_release)))

/* The commands for @request, with "apt-get update" first when @refresh. */
void apt_commands_make (const struct vroot *root, const struct apt_request *request, bool refresh,
                        struct apt_commands *ret_commands);

/* Finds the line of apt's output that tells why it failed. */
struct apt_reason {
  char *dpkg;        /* owned; dpkg's first error */
  char *apt;         /* owned; apt's first "E:", but for the one that only points to dpkg */
  char *last;        /* owned; the last line that says anything */
  bool dpkg_is_open; /* the next line belongs to it */
};
void apt_reason_release (struct apt_reason *reason);
void apt_reason_line (struct apt_reason *reason, const char *line);
/* The best of them, or NULL. Borrowed. */
const char *apt_reason_text (const struct apt_reason *reason);

#endif
