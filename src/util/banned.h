/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that overflow, run a shell or cannot report errors do not compile here.
 * Included first by every source file, by way of util/err.h. */
#ifndef VG_UTIL_BANNED_H
#define VG_UTIL_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets system popen
#pragma GCC poison mktemp tmpnam tempnam atoi atol atoll

#endif
