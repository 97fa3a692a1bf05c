/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of images, as the tools around containers write them:
 *
 *   docker://[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]   in a registry
 *   oci:DIR[:REF]                                      in an OCI layout
 *   oci-archive:FILE[:REF]                             the same in an archive
 *
 * Without a HOST (a first component without "." and ":" that is not "localhost") it is docker.io,
 * where a repository of one component is below "library". Without TAG and DIGEST it is "latest";
 * a DIGEST decides over a TAG. REF is a name in the layout's index (the annotation
 * org.opencontainers.image.ref.name); without one the layout must have one image only. */
#ifndef VG_TEMPLATE_IMAGE_REF_H
#define VG_TEMPLATE_IMAGE_REF_H

#include "util/checksum.h"

enum image_transport { IMAGE_REGISTRY, IMAGE_LAYOUT, IMAGE_ARCHIVE };

struct image_ref {
  enum image_transport transport;
  char *host;             /* owned; "docker.io", "localhost:5000", "[::1]:5000"; lower case */
  char *repository;       /* owned; "library/debian" */
  char *tag;              /* owned; NULL when there is none */
  struct checksum digest; /* SHA-256 to SHA-512, or kind CHECKSUM_NONE */
  char *path;             /* owned; of the directory or file */
  char *name;             /* owned; REF, or NULL */
};

void image_ref_release (struct image_ref *ref);
#define autoimageref __attribute__ ((cleanup (image_ref_release)))

/* Does @text begin as one of the three? */
bool image_ref_is (const char *text);

/* ERR_USAGE says what is wrong with @text. */
int image_ref_parse (const char *text, struct image_ref *ret_ref, struct err *err);

/* The whole name in its full form, which parses to the same: the caller's. */
char *image_ref_format (const struct image_ref *ref);

/* A digest as OCI writes it: "sha256:", "sha384:" or "sha512:" and lower-case hex digits. EBADMSG.
 */
int image_digest_parse (const char *text, struct checksum *ret_digest, struct err *err);

#endif
