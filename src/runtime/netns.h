/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces; network_make_namespace of network.h is the other half. */
#ifndef VG_RUNTIME_NETNS_H
#define VG_RUNTIME_NETNS_H

#include "util/json.h"

/* Makes a namespace that lives as long as its descriptor, and in it a device @name with the
 * addresses of @addresses ("10.0.0.2/24", …): what looks to a plugin like a guest that is gone. */
int netns_make_stand_in (const char *name, json_object *addresses, int *ret_fd, struct err *err);

#endif
