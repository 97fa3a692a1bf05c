/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhashify --explain. */
#ifndef VG_CMD_HASHIFY_EXPLAIN_H
#define VG_CMD_HASHIFY_EXPLAIN_H

#include "cmd/cmd.h"

/* Tells which rules decide about the @paths in each of the guests that @selecting names, or by the
 * host's policy alone when it names none. Takes no lock and changes nothing. */
int hashify_explain (const struct context *context, struct selecting *selecting,
                     const struct names *paths, struct err *err);

#endif
