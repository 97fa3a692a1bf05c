/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Platforms of images, in Go's words: "linux/amd64", "linux/arm/v7". */
#ifndef VG_TEMPLATE_IMAGE_PLATFORM_H
#define VG_TEMPLATE_IMAGE_PLATFORM_H

#include "util/cleanup.h"
#include <stdbool.h>

struct image_platform {
  char architecture[32]; /* "amd64" */
  unsigned variant;      /* of an architecture with variants: 7 for "v7"; else 0 */
};

/* "[linux/]ARCHITECTURE[/VARIANT]"; an architecture in the kernel's words ("x86_64") as well.
 * ERR_USAGE. */
int image_platform_parse (const char *text, struct image_platform *ret_platform, struct err *err);

/* This host's. */
void image_platform_host (struct image_platform *ret_platform);

/* The caller's. */
char *image_platform_format (const struct image_platform *platform);

/* How well something made for @os, @architecture and @variant (which may be NULL) runs on @wanted:
 * 0 not at all, more is better. Of variants those up to the wanted one run. */
unsigned image_platform_match (const struct image_platform *wanted, const char *os,
                               const char *architecture, const char *variant);

#endif
