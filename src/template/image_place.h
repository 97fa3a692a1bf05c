/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the documents and layers of an image are got from: an OCI layout (image-spec 1.1,
 * image-layout.md) of this host, or a repository of a registry by way of the cache of images.
 *
 * A layout's files are foreign data like a registry's: names are made of digests alone, symlinks
 * are not followed, and what is read is verified. */
#ifndef VG_TEMPLATE_IMAGE_PLACE_H
#define VG_TEMPLATE_IMAGE_PLACE_H

#include "template/image_cache.h"
#include "template/registry.h"

struct image_place {
  int layout_fd;             /* borrowed; the layout's directory, or -1 */
  struct registry *registry; /* borrowed; where it is no layout */
  struct image_cache *cache; /* borrowed; with registry */
};

/* The layout's index.json: the caller's, NUL-terminated. ENOENT for what is no layout. */
int image_place_index (const struct image_place *place, char **ret_text, size_t *ret_len,
                       struct err *err);

/* What @tag, or with a kind other than CHECKSUM_NONE @digest, names in the registry: an index or a
 * manifest, as image_place_document. A tag's digest is asked for, and the document fetched only
 * when the cache has it not. */
int image_place_top (const struct image_place *place, const char *tag,
                     const struct checksum *digest, char **ret_text, size_t *ret_len,
                     struct checksum *ret_digest, struct err *err);

/* An index, a manifest or a config, verified by its digest: the caller's, NUL-terminated. */
int image_place_document (const struct image_place *place, const struct image_descriptor *what,
                          char **ret_text, size_t *ret_len, struct err *err);

/* Gets what is not here yet of the layers, several at a time. */
int image_place_get (const struct image_place *place, const struct image_descriptor *layers,
                     size_t count, struct err *err);

/* Opens a layer that image_place_get got; the caller's. What is in it is not verified. */
int image_place_open (const struct image_place *place, const struct image_descriptor *layer,
                      int *ret_fd, struct err *err);

#endif
