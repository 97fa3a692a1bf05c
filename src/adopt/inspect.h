/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `docker inspect` or `podman inspect` tells of a container (Docker Engine API,
 * "ContainerInspect"; podman-inspect(1)): an object, or a list of one. */
#ifndef VG_ADOPT_INSPECT_H
#define VG_ADOPT_INSPECT_H

#include "adopt/translation.h"

/* ERR_USAGE when @text, of @len bytes, is not JSON of that shape. */
int inspect_translate (struct translation *translation, const char *text, size_t len,
                       struct err *err);

#endif
