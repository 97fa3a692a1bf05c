/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings of a systemd-nspawn container, NAME.nspawn: sections and "Key=value" lines
 * (systemd.nspawn(5), of systemd 221 to 257; the syntax is that of systemd.syntax(7)). */
#ifndef VG_ADOPT_NSPAWN_H
#define VG_ADOPT_NSPAWN_H

#include "adopt/translation.h"

/* Translates @text; "" when there is no such file: what nspawn does by itself holds then, as
 * systemd-nspawn@.service starts it: an init, and a network of its own. */
void nspawn_translate (struct translation *translation, const char *text);

#endif
