/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which guests a command is for: the options of all commands that take several, in one place.
 *
 * Names and --from-file say which, or --all; --exclude, --running, --stopped, --template and
 * --label leave some of them out, and mean all guests where none are named. */
#ifndef VG_CMD_SELECTION_H
#define VG_CMD_SELECTION_H

#include "guest/guest.h"

struct selecting {
  struct selection selection; /* owned */
  bool running;
  bool stopped;
  const char *template;  /* borrowed; or NULL */
  struct names labels;   /* owned; KEY or KEY=VALUE; all must hold */
  const char *from_file; /* borrowed; or NULL */
};
void selecting_release (struct selecting *selecting);
#define autoselecting __attribute__ ((cleanup (selecting_release)))

/* The elements of an array of struct option_spec; @s is a struct selecting *. */
#define SELECTING_OPTIONS(s)                                                                         \
  {"all", 0, NULL, "all guests", &(s)->selection.all, NULL, NULL}, {"exclude",                       \
                                                                    0,                               \
                                                                    "PATTERN",                       \
                                                                    "not these (may be repeated)",   \
                                                                    NULL,                            \
                                                                    NULL,                            \
                                                                    &(s)->selection.exclude},        \
      {"running", 0, NULL, "only those that run", &(s)->running, NULL, NULL},                        \
      {"stopped", 0, NULL, "only those that do not", &(s)->stopped, NULL, NULL},                     \
      {"template", 0, "NAME", "only those of this template", NULL, &(s)->template, NULL},            \
      {"label", 0, "KEY[=VALUE]", "only those with it (may be repeated)", NULL, NULL, &(s)->labels}, \
  {                                                                                                  \
    "from-file", 0, "FILE", "those that FILE names; - is stdin", NULL, &(s)->from_file, NULL         \
  }

/* Is anything said that stands in place of names? */
bool selecting_given (const struct selecting *selecting);

/* The names of the guests selected, sorted. When a filter leaves none the message names
 * it: ERR_NOTHING for --running and --stopped, which is no mistake, else ERR_NO_GUEST. */
int selecting_resolve (struct vroot *root, struct selecting *selecting, struct names *ret_names,
                       struct err *err);

#endif
