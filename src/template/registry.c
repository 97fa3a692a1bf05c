/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "registry.h"
#include "util/strbuf.h"
#include <ctype.h>

enum { TOKEN_ANSWER_MAX = 256 << 10, URL_MAX = 16 << 10, ROUNDS_MAX = 100 };

static const char accept_manifests[] =
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

void registry_open (struct fetch *fetch, const struct image_ref *ref,
                    const struct registry_creds *creds, struct registry *ret_registry)
{
  /* Docker's own registry answers under another name than that of its images. */
  const char *host = strcmp (ref->host, "docker.io") == 0 ? "registry-1.docker.io" : ref->host;

  *ret_registry = (struct registry){
      .fetch = fetch,
      .base = xasprintf ("https://%s/v2/%s/", host, ref->repository),
      .repository = xstrdup (ref->repository),
      .creds = creds,
  };
}

void registry_release (struct registry *registry)
{
  int saved = errno;

  free (registry->base);
  free (registry->repository);
  free (registry->token);
  *registry = (struct registry){0};
  errno = saved;
}

static void set_auth (const struct registry *registry, struct fetch_request *request)
{
  request->user = request->password = request->bearer = NULL;
  if (registry->scheme == REGISTRY_AUTH_BASIC) {
    request->user = registry->creds->user;
    request->password = registry->creds->password;
  } else if (registry->scheme == REGISTRY_AUTH_BEARER) {
    request->bearer = registry->token;
  }
}

/* Did the registry itself, and not where it redirects to, refuse for want of credentials? */
static bool wants_auth (const struct registry *registry, const struct fetch_request *request)
{
  const struct fetch_result *result = &request->result;

  return result->outcome == FETCH_REFUSED && result->status == 401 && result->url &&
         strncmp (result->url, registry->base, strlen (registry->base)) == 0;
}

static void read_challenge (const struct fetch_result *result,
                            struct registry_challenge *ret_challenge)
{
  static const char name[] = "www-authenticate:";

  *ret_challenge = (struct registry_challenge){0};
  for (size_t i = 0; i < result->header_count; i++)
    if (strncasecmp (result->headers[i], name, strlen (name)) == 0)
      registry_challenge_add (ret_challenge, result->headers[i] + strlen (name));
}

static void add_parameter (struct strbuf *url, const char *name, const char *value)
{
  strbuf_addf (url, "%c%s=", strchr (strbuf_str (url), '?') ? '&' : '?', name);
  for (const char *p = value; *p; p++)
    if (isalnum ((unsigned char) *p) || strchr ("-._~/:", *p))
      strbuf_add (url, p, 1);
    else
      strbuf_addf (url, "%%%02X", (unsigned) (unsigned char) *p);
}

static int ask_for_token (struct registry *registry, const struct registry_challenge *challenge,
                          struct err *err)
{
  autostrbuf struct strbuf url = STRBUF_INIT (URL_MAX);
  struct fetch_request request = FETCH_REQUEST_INIT;
  char *token = NULL;

  if (strncmp (challenge->realm, "https://", 8) != 0 || strchr (challenge->realm, '#')) {
    autofree char *shown = fetch_url_for_people (challenge->realm);

    return err_code (err, EPERM, "refused: it sends for a token to %s, which is not https", shown);
  }
  autofree char *scope = challenge->scope ? xstrdup (challenge->scope)
                                          : xasprintf ("repository:%s:pull", registry->repository);
  strbuf_adds (&url, challenge->realm);
  if (challenge->service)
    add_parameter (&url, "service", challenge->service);
  add_parameter (&url, "scope", scope);
  if (url.failed)
    return err_code (err, EBADMSG, "what it says of its token server is too long");
  const char *const urls[] = {url.data, NULL};
  request.urls = urls;
  request.sink = FETCH_TO_MEMORY;
  request.size_max = TOKEN_ANSWER_MAX;
  request.user = registry->creds->user;
  request.password = registry->creds->password;
  int ret = fetch_one (registry->fetch, &request, err);
  if (ret == 0)
    ret = registry_token_parse (request.result.body, request.result.body_len, &token, err);
  if (ret == -EACCES)
    ret = err_code (err, EACCES, "%s: %s", err_text (err),
                    registry->creds->user ? "user and password were not accepted"
                                          : "no user and password are known for it");
  fetch_result_release (&request.result);
  if (ret < 0)
    return ret;
  free (registry->token);
  registry->token = token;
  return 0;
}

/* The failure of @request, in words for it. */
static int request_failed (const struct registry *registry, const struct fetch_request *request,
                           struct err *err)
{
  const struct fetch_result *result = &request->result;

  if (wants_auth (registry, request) && registry->scheme == REGISTRY_AUTH_BASIC)
    return err_code (err, EACCES, "%s does not accept the user and password", registry->base);
  if (wants_auth (registry, request) || result->status == 403)
    return err_code (err, EACCES, "%s: there is no such image, or %s may not read it",
                     err_text (&result->err),
                     registry->creds->user ? registry->creds->user : "who has no credentials");
  return err_code (err, result->err.code, "%s", err_text (&result->err));
}

static int no_creds (const struct registry *registry, struct err *err)
{
  return err_code (err, EACCES,
                   "%s wants a user and password, and none are known: log in there, or give them "
                   "with --creds",
                   registry->base);
}

/* Does what the refused @request's answer asks for. */
static int authenticate (struct registry *registry, const struct fetch_request *request,
                         struct err *err)
{
  autochallenge struct registry_challenge challenge = {0};

  read_challenge (&request->result, &challenge);
  switch (challenge.scheme) {
  case REGISTRY_AUTH_BEARER:
    if (ask_for_token (registry, &challenge, err) < 0)
      return err_wrap (err, "get a token for %s", registry->base);
    break;
  case REGISTRY_AUTH_BASIC:
    if (!registry->creds->user)
      return no_creds (registry, err);
    /* They were given, and refused. */
    if (registry->scheme == REGISTRY_AUTH_BASIC)
      return request_failed (registry, request, err);
    break;
  default:
    return err_code (err, EACCES, "%s refuses, and does not say what it wants", registry->base);
  }
  registry->scheme = challenge.scheme;
  return 0;
}

/* Runs all requests, or @again those that were refused for want of credentials. *@ret_refused is
 * one that was refused so now, or NULL; *@ret_forward: did anything come? */
static int run_once (struct registry *registry, struct fetch_request *requests, size_t count,
                     bool again, struct fetch_request **ret_refused, bool *ret_forward,
                     struct err *err)
{
  autofree struct fetch_request *left = xcalloc (count, sizeof *left);
  autofree size_t *places = xcalloc (count, sizeof *places);
  size_t left_count = 0;

  for (size_t i = 0; i < count; i++)
    if (!again || wants_auth (registry, &requests[i])) {
      fetch_result_release (&requests[i].result);
      set_auth (registry, &requests[i]);
      places[left_count] = i;
      left[left_count++] = requests[i];
    }
  int ret = fetch_run (registry->fetch, left, left_count, err);
  *ret_refused = NULL;
  *ret_forward = false;
  for (size_t i = 0; i < left_count; i++) {
    requests[places[i]] = left[i];
    if (wants_auth (registry, &left[i]))
      *ret_refused = &requests[places[i]];
    *ret_forward |= left[i].result.outcome == FETCH_DONE || left[i].result.received > 0;
  }
  return ret;
}

/* Runs the requests; those that were refused for want of credentials again. A token may run out
 * while many layers come: it is renewed as long as they do. */
static int run (struct registry *registry, struct fetch_request *requests, size_t count,
                struct err *err)
{
  struct fetch_request *refused = NULL;
  bool forward = false;

  for (unsigned round = 0; round < ROUNDS_MAX; round++) {
    if (run_once (registry, requests, count, /* again= */ round > 0, &refused, &forward, err) < 0)
      return -err->code;
    if (!refused || (round && !forward))
      break;
    if (authenticate (registry, refused, err) < 0)
      return -err->code;
  }
  for (size_t i = 0; i < count; i++)
    if (requests[i].result.outcome != FETCH_DONE)
      return request_failed (registry, &requests[i], err);
  return 0;
}

static void release_results (struct fetch_request *requests, size_t count)
{
  for (size_t i = 0; i < count; i++)
    fetch_result_release (&requests[i].result);
}

/* What the server says that the digest is must be true. */
static int check_header (const struct fetch_result *result, const struct checksum *found,
                         struct err *err)
{
  const char *header = fetch_header (result, "Docker-Content-Digest");
  char text[CHECKSUM_TEXT_SIZE];
  struct checksum said;

  if (!header || image_digest_parse (header, &said, err) < 0 || said.kind != found->kind) {
    err_release (err);
    return 0;
  }
  if (checksum_equal (&said, found))
    return 0;
  checksum_format (found, text);
  return err_code (err, EBADMSG, "its digest is %s, and the registry says %.150s", text, header);
}

int registry_manifest (struct registry *registry, const char *tag, const struct checksum *digest,
                       char **ret_text, size_t *ret_len, struct checksum *ret_digest,
                       struct err *err)
{
  static const char *const headers[] = {accept_manifests, NULL};
  bool by_digest = digest->kind != CHECKSUM_NONE;
  struct fetch_request request = FETCH_REQUEST_INIT;
  struct fetch_result *result = &request.result;
  char text[CHECKSUM_TEXT_SIZE];

  checksum_format (digest, text);
  autofree char *url = xasprintf ("%smanifests/%s", registry->base, by_digest ? text : tag);
  const char *const urls[] = {url, NULL};
  request.urls = urls;
  request.sink = FETCH_TO_MEMORY;
  request.size_max = IMAGE_DOCUMENT_MAX;
  request.headers = headers;
  request.want_sha256 = true;
  request.checksums = digest;
  request.checksum_count = by_digest;
  int ret = run (registry, &request, 1, err);
  if (ret == 0 && !by_digest)
    ret = check_header (result, &result->sha256, err) < 0 ? err_wrap (err, "%s", url) : 0;
  if (ret == 0) {
    *ret_text = steal_ptr (&result->body);
    *ret_len = result->body_len;
    *ret_digest = by_digest ? *digest : result->sha256;
  }
  fetch_result_release (result);
  return ret;
}

int registry_tag_digest (struct registry *registry, const char *tag, struct checksum *ret_digest,
                         struct err *err)
{
  static const char *const headers[] = {accept_manifests, NULL};
  autofree char *url = xasprintf ("%smanifests/%s", registry->base, tag);
  const char *const urls[] = {url, NULL};
  struct fetch_request request = FETCH_REQUEST_INIT;

  request.urls = urls;
  request.sink = FETCH_HEAD;
  request.headers = headers;
  int ret = run (registry, &request, 1, err);
  long status = request.result.status;
  if (ret < 0 && (status == 405 || status == 501))
    ret = err_code (err, EOPNOTSUPP, "%s: the registry does not answer HEAD", url);
  const char *header = ret == 0 ? fetch_header (&request.result, "Docker-Content-Digest") : NULL;
  if (ret == 0)
    ret = header ? image_digest_parse (header, ret_digest, err)
                 : err_code (err, EOPNOTSUPP, "%s: the registry does not say its digest", url);
  fetch_result_release (&request.result);
  return ret;
}

int registry_blobs (struct registry *registry, const struct registry_blob *blobs, size_t count,
                    struct err *err)
{
  struct place {
    char *url; /* owned */
    const char *urls[2];
  };
  autofree struct fetch_request *requests = xcalloc (count, sizeof *requests);
  autofree struct place *places = xcalloc (count, sizeof *places);

  for (size_t i = 0; i < count; i++) {
    const struct image_descriptor *descriptor = blobs[i].descriptor;
    char digest[CHECKSUM_TEXT_SIZE];

    checksum_format (&descriptor->digest, digest);
    places[i].url = xasprintf ("%sblobs/%s", registry->base, digest);
    places[i].urls[0] = places[i].url;
    requests[i] = (struct fetch_request) FETCH_REQUEST_INIT;
    requests[i].urls = places[i].urls;
    requests[i].dir_fd = blobs[i].dir_fd;
    requests[i].name = blobs[i].name;
    requests[i].mode = 0600;
    requests[i].keep = true;
    requests[i].size = descriptor->size;
    requests[i].size_max = descriptor->size;
    requests[i].checksums = &descriptor->digest;
    requests[i].checksum_count = 1;
  }
  int ret = count ? run (registry, requests, count, err) : 0;
  release_results (requests, count);
  for (size_t i = 0; i < count; i++)
    free (places[i].url);
  return ret;
}
