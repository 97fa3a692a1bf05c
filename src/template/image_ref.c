/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_ref.h"
#include <ctype.h>

enum { REPOSITORY_MAX = 255, TAG_MAX = 128, HOST_MAX = 255, PORT_MAX = 65535 };

static const char registry_prefix[] = "docker://";
static const char layout_prefix[] = "oci:";
static const char archive_prefix[] = "oci-archive:";
static const char default_host[] = "docker.io";

void image_ref_release (struct image_ref *ref)
{
  int saved = errno;

  free (ref->host);
  free (ref->repository);
  free (ref->tag);
  free (ref->path);
  free (ref->name);
  *ref = (struct image_ref){0};
  errno = saved;
}

/* What follows @prefix in @text, or NULL. */
static const char *behind (const char *text, const char *prefix)
{
  size_t len = strlen (prefix);

  return strncmp (text, prefix, len) == 0 ? text + len : NULL;
}

bool image_ref_is (const char *text)
{
  return behind (text, registry_prefix) || behind (text, layout_prefix) ||
         behind (text, archive_prefix);
}

int image_digest_parse (const char *text, struct checksum *ret_digest, struct err *err)
{
  char again[CHECKSUM_TEXT_SIZE];
  struct checksum digest;

  if (checksum_parse_tagged (text, &digest, err) < 0)
    return err_code (err, EBADMSG, "\"%.150s\" is no digest", text);
  checksum_format (&digest, again);
  if (digest.kind < CHECKSUM_SHA256 || strcmp (again, text) != 0)
    return err_code (err, EBADMSG,
                     "\"%.150s\" is no digest that can be used: \"sha256:\" or \"sha512:\" with "
                     "lower-case digits is expected",
                     text);
  *ret_digest = digest;
  return 0;
}

static bool is_lower_or_digit (char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One component: words of lower-case letters and digits with ".", "_", "__" or dashes between. */
static bool is_component (const char *text, size_t len)
{
  for (size_t i = 0; i < len;) {
    size_t word = i;

    while (i < len && is_lower_or_digit (text[i]))
      i++;
    if (i == word)
      return false;
    if (i == len)
      return true;
    size_t mark = i;
    while (i < len && text[i] == text[mark] && strchr ("._-", text[i]))
      i++;
    size_t marks = i - mark;
    if (!marks || (text[mark] == '.' && marks > 1) || (text[mark] == '_' && marks > 2))
      return false;
  }
  return false;
}

static bool is_repository (const char *text)
{
  if (strlen (text) > REPOSITORY_MAX)
    return false;
  for (;;) {
    size_t len = strcspn (text, "/");

    if (!is_component (text, len))
      return false;
    if (!text[len])
      return true;
    text += len + 1;
  }
}

static bool is_tag (const char *text)
{
  size_t len = strlen (text);

  if (!len || len > TAG_MAX || text[0] == '.' || text[0] == '-')
    return false;
  for (const char *p = text; *p; p++)
    if (!isalnum ((unsigned char) *p) && !strchr ("._-", *p))
      return false;
  return true;
}

static bool is_port (const char *text)
{
  size_t len = strspn (text, "0123456789");

  return len && len <= 5 && !text[len] && text[0] != '0' && strtol (text, NULL, 10) <= PORT_MAX;
}

/* "name.example", "10.0.0.1" or "[::1]", with or without a port. */
static bool is_host (const char *text)
{
  size_t len;

  if (strlen (text) > HOST_MAX)
    return false;
  if (*text == '[') {
    len = 1 + strspn (text + 1, "0123456789abcdefABCDEF:.");
    if (len < 3 || text[len] != ']')
      return false;
    len++;
  } else {
    bool start = true;

    for (len = 0; text[len] && text[len] != ':'; len++) {
      bool word = isalnum ((unsigned char) text[len]);

      if (!word && (start || !strchr (".-", text[len])))
        return false;
      if (text[len] == '.' && text[len - 1] == '-')
        return false;
      start = text[len] == '.';
    }
    if (!len || start || text[len - 1] == '-')
      return false;
  }
  return !text[len] || (text[len] == ':' && is_port (text + len + 1));
}

static void take_host (struct image_ref *ref, const char *host)
{
  ref->host = xstrdup (host);
  for (char *p = ref->host; *p; p++)
    *p = (char) tolower ((unsigned char) *p);
  if (strcmp (ref->host, "index.docker.io") == 0 ||
      strcmp (ref->host, "registry-1.docker.io") == 0) {
    free (ref->host);
    ref->host = xstrdup (default_host);
  }
}

/* Splits the host off. Gives what is left of @rest. */
static char *split_host (struct image_ref *ref, char *rest)
{
  char *slash = strchr (rest, '/');

  if (!slash) {
    take_host (ref, default_host);
    return rest;
  }
  *slash = '\0';
  if (strpbrk (rest, ".:[") || strcasecmp (rest, "localhost") == 0) {
    take_host (ref, rest);
    return slash + 1;
  }
  *slash = '/';
  take_host (ref, default_host);
  return rest;
}

static int parse_registry (const char *rest, struct image_ref *ref, struct err *err)
{
  autofree char *text = xstrdup (rest);
  char *digest = strchr (text, '@');

  if (digest) {
    *digest++ = '\0';
    if (image_digest_parse (digest, &ref->digest, err) < 0)
      return err_code (err, ERR_USAGE, "%s", err_text (err));
  }
  char *name = split_host (ref, text);
  char *tag = strchr (name, ':');
  if (tag)
    *tag++ = '\0';
  if (!is_host (ref->host))
    return err_code (err, ERR_USAGE, "\"%.100s\" is no host of a registry", ref->host);
  if (tag && !is_tag (tag))
    return err_code (err, ERR_USAGE, "\"%.150s\" is no tag of an image", tag);
  if (!tag && !digest)
    tag = (char *) "latest";
  if (tag)
    ref->tag = xstrdup (tag);
  ref->repository = strcmp (ref->host, default_host) == 0 && !strchr (name, '/')
                        ? xasprintf ("library/%s", name)
                        : xstrdup (name);
  if (!is_repository (ref->repository))
    return err_code (err, ERR_USAGE,
                     "\"%.100s\" is no name of a repository: lower-case letters and digits with "
                     "single \".\", \"_\" or \"-\" between are expected",
                     name);
  return 0;
}

static int parse_place (const char *rest, struct image_ref *ref, struct err *err)
{
  const char *colon = strchr (rest, ':');
  size_t len = colon ? (size_t) (colon - rest) : strlen (rest);

  if (!len)
    return err_code (err, ERR_USAGE, "the path is missing");
  ref->path = xstrndup (rest, len);
  if (!colon)
    return 0;
  if (!colon[1] || strlen (colon + 1) > HOST_MAX)
    return err_code (err, ERR_USAGE, "\"%.60s\" is no name of an image", colon + 1);
  for (const char *p = colon + 1; *p; p++)
    if ((unsigned char) *p <= ' ' || (unsigned char) *p > '~')
      return err_code (err, ERR_USAGE, "the name of an image has no such characters");
  ref->name = xstrdup (colon + 1);
  return 0;
}

int image_ref_parse (const char *text, struct image_ref *ret_ref, struct err *err)
{
  static const struct {
    const char *prefix;
    enum image_transport transport;
    int (*parse) (const char *rest, struct image_ref *ref, struct err *err);
  } transports[] = {
      {registry_prefix, IMAGE_REGISTRY, parse_registry},
      {layout_prefix, IMAGE_LAYOUT, parse_place},
      {archive_prefix, IMAGE_ARCHIVE, parse_place},
  };

  for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
    autoimageref struct image_ref ref = {.transport = transports[i].transport};
    const char *rest = behind (text, transports[i].prefix);

    if (!rest)
      continue;
    if (transports[i].parse (rest, &ref, err) < 0)
      return -err->code;
    *ret_ref = ref;
    ref = (struct image_ref){0};
    return 0;
  }
  return err_code (err, ERR_USAGE,
                   "an image is expected, as docker://debian:12, oci:DIR or oci-archive:FILE");
}

char *image_ref_format (const struct image_ref *ref)
{
  const char *colon = ref->name ? ":" : "", *name = ref->name ? ref->name : "";
  char digest[CHECKSUM_TEXT_SIZE] = "";

  if (ref->transport == IMAGE_LAYOUT)
    return xasprintf ("%s%s%s%s", layout_prefix, ref->path, colon, name);
  if (ref->transport == IMAGE_ARCHIVE)
    return xasprintf ("%s%s%s%s", archive_prefix, ref->path, colon, name);
  if (ref->digest.kind != CHECKSUM_NONE)
    checksum_format (&ref->digest, digest);
  return xasprintf ("%s%s/%s%s%s%s%s", registry_prefix, ref->host, ref->repository,
                    ref->tag ? ":" : "", ref->tag ? ref->tag : "", *digest ? "@" : "", digest);
}
