/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers of an image into a tree that is being written (image-spec, layer.md): the lowest first,
 * each over what is there.
 *
 *   NAME               replaces what is there, whatever it is; of a directory that is there already
 *                      only the metadata
 *   .wh.NAME           removes NAME of the layers below
 *   .wh..wh..opq       removes all that the layers below have in its directory
 *   other .wh..wh.*    notes of aufs: left out
 *
 * A hard link is to what its target is at that point, in this layer or a lower one. A directory
 * above a name, or above a hard link's target, may be a symlink of a lower layer: it is followed
 * inside the tree, as other tools do; so what is written stays below the top in any case.
 *
 * Layers are applied in order, and not the highest first with a note of what is decided: a file
 * that a higher layer replaces may be the target of a hard link that stays, which is known only
 * when that is read. What is replaced is written for nothing, and collected afterwards. */
#ifndef VG_TEMPLATE_IMAGE_LAYER_H
#define VG_TEMPLATE_IMAGE_LAYER_H

#include "template/image_document.h"
#include "template/writer.h"

struct image_layer {
  const struct image_descriptor *descriptor; /* borrowed; what it must be as it is read from fd */
  const struct checksum *diff_id;            /* borrowed; and uncompressed */
  int fd;                                    /* borrowed; at its beginning */
  uint64_t *budget; /* bytes that it may have uncompressed; what it had is taken off */
};

/* Applies the layer: a tar archive, as it is or compressed by gzip or zstd. EBADMSG for what is not
 * what it must be, with both digests; EFBIG over the budget. */
int image_layer_apply (struct writer *writer, const struct image_layer *layer, struct err *err);

#endif
