/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "cleanup" of a definition: what is removed from a tree in the end. */
#ifndef VG_TEMPLATE_CLEANUP_H
#define VG_TEMPLATE_CLEANUP_H

#include "template/import.h"

/* Removes what the patterns in @list, absolute paths of util/rules.h, match in the complete tree of
 * @import (import_complete). Times of directories are kept. What is not there is no error. */
int template_cleanup (struct import *import, json_object *list, struct err *err);

#endif
