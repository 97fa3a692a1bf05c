/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `build -s SOURCE` names: a template or a guest. */
#ifndef VG_TEMPLATE_SOURCE_H
#define VG_TEMPLATE_SOURCE_H

#include "guest/build.h"
#include "template/import.h"

/* Opens "template:NAME", "guest:NAME", or "NAME": then a template when there is one of that name,
 * else a guest. "NAME@GENERATION" is a template, of which else the newest generation is taken.
 * ERR_NO_GUEST when there is neither. */
int source_open (struct vroot *root, const char *text, struct build_source *ret_source,
                 struct err *err);

/* The complete tree of @import, which stays the caller's and is open as long as the source.
 * "METHOD:SOURCE" is the label. */
void source_of_import (struct import *import, const char *method, struct build_source *ret_source);

#endif
