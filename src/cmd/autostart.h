/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting guests behind those that they depend on. */
#ifndef VG_CMD_AUTOSTART_H
#define VG_CMD_AUTOSTART_H

#include "cmd.h"

/* Does what `vguest NAMES start` does when one of @names depends on others: starts those first, in
 * the order of guest/autostart.h, and tells how it went. With @only_others not the named ones.
 * Returns 1 then; 0, having done nothing, when none depends on any; negative when some were not
 * started. */
int start_in_order (struct context *context, const struct names *names, bool only_others,
                    unsigned parallel, struct err *err);

#endif
