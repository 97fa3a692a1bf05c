/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vguest.conf, the settings of this host: see vguest.conf(5). */
#ifndef VG_UTIL_CONF_H
#define VG_UTIL_CONF_H

#include "json.h"

/* $VGUEST_CONF, or SYSCONFDIR/vguest/vguest.conf. Borrowed. */
const char *conf_path (void);

/* The file as an object, the caller's; one without members when there is no file. ERR_USAGE for
 * keys that no part of vguest knows. Values are checked by who uses them. */
int conf_read (json_object **ret_conf, struct err *err);

/* One string of it: the caller's, or NULL when it is not set. */
int conf_string (const char *key, char **ret_value, struct err *err);

/* Puts the file's name before an error in one of its values. Returns -err->code. */
int conf_wrap (struct err *err);

#endif
