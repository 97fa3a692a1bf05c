/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the name of an image to its manifest and config, by way of as many indexes as there are. */
#ifndef VG_TEMPLATE_IMAGE_FIND_H
#define VG_TEMPLATE_IMAGE_FIND_H

#include "template/image_place.h"

struct image {
  struct checksum top;    /* of what the name stands for: an index or the manifest */
  struct checksum digest; /* of the manifest */
  struct image_manifest manifest;
  struct image_config config; /* as many diff_ids as the manifest has layers */
};
void image_release (struct image *image);
#define autoimage __attribute__ ((cleanup (image_release)))

/* Finds the image @ref for @platform in @place, which is where @ref says. */
int image_find (const struct image_place *place, const struct image_ref *ref,
                const struct image_platform *platform, struct image *ret_image, struct err *err);

/* The digest of what the name in an index.json stands for: top of struct image. */
int image_find_in_index (const char *text, size_t len, const struct image_ref *ref,
                         const struct image_platform *platform, struct checksum *ret_top,
                         struct err *err);

/* The digest of the manifest for @platform that @text leads to, an index or a manifest whose own
 * digest is @top: of kind CHECKSUM_NONE where an index comes behind the index. */
int image_find_manifest (const char *text, size_t len, const struct checksum *top,
                         const struct image_platform *platform, struct checksum *ret_digest,
                         struct err *err);

#endif
