/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands in the tree of a template that is being made: a transaction in a staged guest
 * (template/stage.h). */
#ifndef VG_CMD_TEMPLATE_RUN_H
#define VG_CMD_TEMPLATE_RUN_H

#include "template/stage.h"

/* Runs commands, NULL-terminated lists of words, one after another as root, without a terminal and
 * told to ask nothing, and commits what they changed to @guest. EIO, with the end of what they
 * wrote, when one fails. */
int template_run (struct import *import, struct guest *guest, const char *const *const *commands,
                  size_t count, struct err *err);

/* import_options.run_steps: the steps of a definition, in the order of the list. A string is for
 * /bin/sh -c. */
int template_run_steps (void *data, struct import *import, json_object *steps, struct err *err);

#endif
