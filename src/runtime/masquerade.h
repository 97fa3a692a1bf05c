/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an ADD that was cut short may have left of masquerading, so that DEL removes it. */
#ifndef VG_RUNTIME_MASQUERADE_H
#define VG_RUNTIME_MASQUERADE_H

#include "util/json.h"

/* Addresses ("10.0.0.2/32", …), the caller's: those that rules of the container @id masquerade, by
 * the comment that the standard plugins give them; then, of a family without any, one that is
 * nobody's: for it plugins clear rules that are not joined to an address yet. */
json_object *masquerade_addresses (const char *id);

/* The same of the text that iptables-save prints, added to @addresses. */
void masquerade_parse (const char *rules, const char *id, json_object *addresses);

#endif
