/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON documents that make an image: index, manifest and config, of OCI (image-spec 1.1) and of
 * Docker (schema 2). Foreign data: each is bounded, checked wholly, and refused with EBADMSG when
 * something in it has another type than it must.
 *
 * What a document is, is told by its members alone, and its mediaType must agree; one that could be
 * read as index and as manifest is refused, as two readers would see two images. */
#ifndef VG_TEMPLATE_IMAGE_DOCUMENT_H
#define VG_TEMPLATE_IMAGE_DOCUMENT_H

#include "guest/names.h"
#include "template/image_platform.h"
#include "util/checksum.h"

enum {
  IMAGE_DOCUMENT_MAX = 4 << 20, /* bytes of any of the three */
  IMAGE_LAYERS_MAX = 512,
  IMAGE_INDEX_MAX = 1024, /* entries of an index */
};
#define IMAGE_LAYER_MAX (UINT64_C (64) << 30) /* bytes of a layer as it is transferred */

enum image_kind {
  IMAGE_KIND_UNKNOWN,
  IMAGE_KIND_INDEX,
  IMAGE_KIND_MANIFEST,
  IMAGE_KIND_CONFIG,
  IMAGE_KIND_LAYER,
};

/* Is @text what @digest says? EBADMSG with both digests. */
int image_document_verify (const struct checksum *digest, const char *text, size_t len,
                           struct err *err);

/* Two digests that must be the same are not: EBADMSG, "@what is …, expected is …". */
int image_digest_mismatch (const char *what, const struct checksum *found,
                           const struct checksum *expected, struct err *err);

/* Of a media type, without parameters. */
enum image_kind image_kind_by_media_type (const char *media_type);

struct image_descriptor {
  char *media_type; /* owned */
  struct checksum digest;
  uint64_t size;
};

struct image_index_entry {
  struct image_descriptor descriptor; /* of a manifest, or of another index */
  char *name;                         /* owned; org.opencontainers.image.ref.name; NULL */
  char *os, *architecture, *variant;  /* owned; NULL where nothing is said */
};

struct image_index {
  struct image_index_entry *entries; /* owned; only of kinds that are known */
  size_t count;
};
void image_index_release (struct image_index *index);
#define autoimageindex __attribute__ ((cleanup (image_index_release)))

struct image_manifest {
  struct image_descriptor config;
  struct image_descriptor *layers; /* owned; the lowest first */
  size_t layer_count;
};
void image_manifest_release (struct image_manifest *manifest);
#define autoimagemanifest __attribute__ ((cleanup (image_manifest_release)))

/* An index or a manifest: *@ret_kind says which of the two is set. @what is for messages. */
int image_parse (const char *text, size_t len, const char *what, enum image_kind *ret_kind,
                 struct image_index *ret_index, struct image_manifest *ret_manifest,
                 struct err *err);

/* The entry for @platform: of several the best variant, then the first. An entry that names no
 * platform is taken only when it is the only one, and unless there are several @name, which may be
 * NULL, must be its name. Borrowed; NULL with @err (ENOENT, with what there is). */
const struct image_index_entry *image_index_choose (const struct image_index *index,
                                                    const char *name,
                                                    const struct image_platform *platform,
                                                    struct err *err);

struct image_config {
  char *os, *architecture, *variant; /* owned; variant may be NULL */
  struct checksum *diff_ids;         /* owned; of the layers uncompressed */
  size_t diff_id_count;
  struct names environment; /* owned; NAME=VALUE */
  struct names entrypoint;  /* owned */
  struct names command;     /* owned; Cmd: the program or the entrypoint's arguments */
  char *user;               /* owned; NULL or USER[:GROUP] */
  char *working_dir;        /* owned; NULL */
  char *stop_signal;        /* owned; NULL */
};
void image_config_release (struct image_config *config);
#define autoimageconfig __attribute__ ((cleanup (image_config_release)))

int image_config_parse (const char *text, size_t len, const char *what,
                        struct image_config *ret_config, struct err *err);

#endif
