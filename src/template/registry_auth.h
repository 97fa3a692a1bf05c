/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Credentials for registries: what the administrator has, and what a server asks for. */
#ifndef VG_TEMPLATE_REGISTRY_AUTH_H
#define VG_TEMPLATE_REGISTRY_AUTH_H

#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

struct registry_creds {
  char *user;     /* owned; NULL when there are none */
  char *password; /* owned; wiped when it is released */
};
void registry_creds_release (struct registry_creds *creds);
#define autocreds __attribute__ ((cleanup (registry_creds_release)))

/* "USER:PASSWORD", where the password may have colons. ERR_USAGE, without showing them. */
int registry_creds_parse (const char *text, struct registry_creds *ret_creds, struct err *err);

/* From the text of an auth.json (containers-auth.json(5)) or Docker's config.json, for a
 * repository of @host: the entry for the longest path counts, "HOST/a/b" before "HOST/a" before
 * "HOST", then Docker's older forms ("https://HOST/v1/"). 1; 0 when there is none. ERR_USAGE for
 * files that are not understood, naming @what. */
int registry_creds_from_json (const char *text, size_t len, const char *what, const char *host,
                              const char *repository, struct registry_creds *ret_creds,
                              struct err *err);

/* The same from the files: $REGISTRY_AUTH_FILE alone, or the first that has an entry of
 * $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID/auth.json),
 * $XDG_CONFIG_HOME/containers/auth.json (~/.config), and $DOCKER_CONFIG/config.json (~/.docker).
 * Programs that keep credentials (credHelpers) are not asked. */
int registry_creds_find (const char *host, const char *repository, struct registry_creds *ret_creds,
                         struct err *err);

enum registry_scheme { REGISTRY_AUTH_NONE, REGISTRY_AUTH_BASIC, REGISTRY_AUTH_BEARER };

/* What WWW-Authenticate asks for; of several the most that is understood. */
struct registry_challenge {
  enum registry_scheme scheme;
  char *realm; /* owned; NULL where nothing is said, as those below */
  char *service;
  char *scope;
};
void registry_challenge_release (struct registry_challenge *challenge);
#define autochallenge __attribute__ ((cleanup (registry_challenge_release)))

/* Adds what the value of one header says (RFC 9110, 11.6.1); what is malformed ends it. */
void registry_challenge_add (struct registry_challenge *challenge, const char *value);

/* The token of a token server's answer: the caller's. EBADMSG. */
int registry_token_parse (const char *text, size_t len, char **ret_token, struct err *err);

#endif
