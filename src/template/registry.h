/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A repository of a registry (OCI distribution-spec 1.1, Docker Registry HTTP API v2), by TLS only.
 *
 * It is asked without credentials first. Its own answer 401, and no other host's, says what it
 * wants: user and password, which it alone gets, or a token, which the server that it names
 * (https only) gives for them. Redirects of blobs to other hosts get neither. A token that has run
 * out is renewed, within a call below as long as something comes between: a second refusal with
 * nothing before it is final.
 *
 * All that is got is bounded; what is asked for by digest is verified by it. */
#ifndef VG_TEMPLATE_REGISTRY_H
#define VG_TEMPLATE_REGISTRY_H

#include "template/image_document.h"
#include "template/image_ref.h"
#include "template/registry_auth.h"
#include "util/fetch.h"

struct registry {
  struct fetch *fetch;                /* borrowed */
  char *base;                         /* owned; "https://HOST/v2/REPOSITORY/" */
  char *repository;                   /* owned */
  const struct registry_creds *creds; /* borrowed; without a user: none */
  enum registry_scheme scheme;        /* what it is known to want */
  char *token;                        /* owned */
};

/* For the repository of @ref. @fetch and @creds stay the caller's, and must outlive it. */
void registry_open (struct fetch *fetch, const struct image_ref *ref,
                    const struct registry_creds *creds, struct registry *ret_registry);
void registry_release (struct registry *registry);
#define autoregistry __attribute__ ((cleanup (registry_release)))

/* A manifest or an index: by @digest, or with that of kind CHECKSUM_NONE by @tag. *@ret_text is the
 * caller's, NUL-terminated; @ret_digest is the SHA-256 of it, or @digest. ENOENT, EACCES, EBADMSG
 * and others of fetch_one. */
int registry_manifest (struct registry *registry, const char *tag, const struct checksum *digest,
                       char **ret_text, size_t *ret_len, struct checksum *ret_digest,
                       struct err *err);

/* The digest of what the tag names now, without getting it. EOPNOTSUPP when the registry does not
 * say. */
int registry_tag_digest (struct registry *registry, const char *tag, struct checksum *ret_digest,
                         struct err *err);

/* A blob that is wanted as the file @name of @dir_fd; see fetch_request.keep: one that is there and
 * verifies is left, a part of it is continued. */
struct registry_blob {
  const struct image_descriptor *descriptor; /* borrowed */
  int dir_fd;
  const char *name;
};

/* Gets them, several at a time. The first failure is the call's; the others are tried all the same.
 */
int registry_blobs (struct registry *registry, const struct registry_blob *blobs, size_t count,
                    struct err *err);

#endif
