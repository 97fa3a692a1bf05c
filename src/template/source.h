/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `build -s SOURCE` names: a template or a guest. */
#ifndef VG_TEMPLATE_SOURCE_H
#define VG_TEMPLATE_SOURCE_H

#include "guest/build.h"

/* Opens "template:NAME", "guest:NAME", or "NAME": then a template when there is one of that name,
 * else a guest. ERR_NO_GUEST when there is neither. */
int source_open (struct vroot *root, const char *text, struct build_source *ret_source,
                 struct err *err);

#endif
