/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What CNI plugins print: results and errors, of all versions up to 1.1.0. Plugins may be buggy:
 * nothing is shown or used that was not checked. */
#ifndef VG_RUNTIME_CNI_RESULT_H
#define VG_RUNTIME_CNI_RESULT_H

#include "util/json.h"

/* The result that a plugin printed after ADD: a JSON object, else EBADMSG. The caller's. */
int cni_result_parse (const char *text, size_t len, json_object **ret_result, struct err *err);

/* What vguest wants to know of a result, the caller's: {"addresses": ["10.0.0.2/24", …],
 * "interfaces": [{"name", "mac", "sandbox"}, …], "gateway": "10.0.0.1", "dns": {"nameservers",
 * "domain", "search", "options"}}; members that the result does not have are left out, but for
 * "addresses" and "interfaces". Addresses of the host's side are no addresses of the guest. EBADMSG
 * when an address or a name in it is none. */
int cni_result_summary (json_object *result, json_object **ret_summary, struct err *err);

/* What a plugin says about its failure, in one line: msg, details and code of the error object on
 * its @output; else the last line of its @messages (stderr); else NULL. The caller's. */
char *cni_error_line (const char *output, size_t output_len, const char *messages);

#endif
