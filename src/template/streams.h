/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Image servers that speak simplestreams: a tree of JSON documents that lead from the name of an
 * image to the files of its newest version.
 *
 *   streams/v1/index.json      "index": {…: {"datatype": "image-downloads", "path": …}}
 *   that path                  "products": {…: {"aliases", "arch", "versions": {…: {"items":
 * {…}}}}} items                      "ftype": "root.tar.xz", "squashfs", and their metadata
 *
 * What comes from there is foreign: paths must stay below the server's, sizes and digests are
 * those that are then enforced. */
#ifndef VG_TEMPLATE_STREAMS_H
#define VG_TEMPLATE_STREAMS_H

#include "util/checksum.h"
#include "util/json.h"

struct streams_file {
  char *path; /* owned; below the server's URL; NULL: there is none */
  uint64_t size;
  struct checksum sha256; /* kind CHECKSUM_NONE: not said */
};

struct streams_image {
  char *serial;                 /* owned; the version; greater is newer */
  struct streams_file root;     /* an archive or a squashfs image */
  struct streams_file metadata; /* an archive with metadata.yaml */
  struct checksum combined;     /* of the metadata with the root behind it, or CHECKSUM_NONE */
};
void streams_image_release (struct streams_image *image);
#define autostreamsimage __attribute__ ((cleanup (streams_image_release)))

/* Is @path a relative path of plain characters that leads nowhere up? */
bool streams_path_is_good (const char *path);

/* The @number-th path of images in an index, counted from 0; NULL behind the last. Borrowed. */
const char *streams_index_path (json_object *index, size_t number);

/* Finds the image @name ("OS/RELEASE[/VARIANT]", without a variant "default") for @arch in
 * @products, and its newest version that has a root file system. Returns 1, or 0 when the image is
 * not there; EBADMSG when its entry is nonsense. */
int streams_find (json_object *products, const char *name, const char *arch,
                  struct streams_image *ret_image, struct err *err);

/* The server's word for this machine's architecture, such as "amd64". Borrowed. */
const char *streams_arch (void);

#endif
