/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_place.h"
#include "image_json.h"
#include "util/fd.h"

static int check_layout_version (int layout_fd, struct err *err)
{
  static const char name[] = "oci-layout";
  autofree char *text = NULL, *version = NULL;
  autojson json_object *object = NULL;
  size_t len = 0;

  int ret = fd_read_file (layout_fd, name, IMAGE_DOCUMENT_MAX, &text, &len, err);
  if (ret == -ENOENT)
    return err_code (err, ENOENT, "it is no OCI layout: it has no file %s", name);
  if (ret < 0 || image_json_parse (text, len, name, &object, err) < 0 ||
      image_json_text (object, "imageLayoutVersion", /* needed= */ true, &version, err) < 0)
    return -err->code;
  if (strcmp (version, "1.0.0") != 0)
    return err_code (err, EBADMSG, "its version of OCI layouts is \"%.60s\", and 1.0.0 is known",
                     version);
  return 0;
}

int image_place_index (const struct image_place *place, char **ret_text, size_t *ret_len,
                       struct err *err)
{
  if (check_layout_version (place->layout_fd, err) < 0)
    return -err->code;
  return fd_read_file (place->layout_fd, "index.json", IMAGE_DOCUMENT_MAX, ret_text, ret_len, err);
}

/* The file of a digest in the layout: the caller's. */
static int open_in_layout (const struct image_place *place, const struct checksum *digest,
                           int *ret_fd, struct err *err)
{
  char text[CHECKSUM_TEXT_SIZE], hex[CHECKSUM_TEXT_SIZE];
  autofree char *dir = xasprintf ("blobs/%s", checksum_kind_name (digest->kind));
  autoclose int dir_fd = fd_open_dir_beneath (place->layout_fd, dir);
  struct stat st;

  checksum_hex (digest, hex);
  checksum_format (digest, text);
  autoclose int fd = dir_fd < 0 ? -1 : fd_open (dir_fd, hex, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0 || fstat (fd, &st) < 0)
    return err_errno (err, "open %s of the layout", text);
  if (!S_ISREG (st.st_mode))
    return err_code (err, EBADMSG, "%s of the layout is no regular file", text);
  *ret_fd = steal_fd (&fd);
  return 0;
}

static int read_document (int fd, const struct checksum *digest, char **ret_text, size_t *ret_len,
                          struct err *err)
{
  autofree char *text = xcalloc (IMAGE_DOCUMENT_MAX + 2, 1);
  char expected[CHECKSUM_TEXT_SIZE];

  checksum_format (digest, expected);
  ssize_t n = fd_read_full (fd, text, IMAGE_DOCUMENT_MAX + 1);
  if (n < 0)
    return err_errno (err, "read %s", expected);
  if (n > IMAGE_DOCUMENT_MAX)
    return err_code (err, EBADMSG, "%s has more than %d bytes", expected, IMAGE_DOCUMENT_MAX);
  if (image_document_verify (digest, text, (size_t) n, err) < 0)
    return -err->code;
  *ret_text = xreallocarray (steal_ptr (&text), (size_t) n + 1, 1);
  *ret_len = (size_t) n;
  return 0;
}

static int manifest_by_digest (const struct image_place *place, const struct checksum *digest,
                               char **ret_text, size_t *ret_len, struct err *err)
{
  struct checksum got;
  int ret = image_cache_get (place->cache, digest, ret_text, ret_len, err);

  if (ret)
    return ret < 0 ? ret : 0;
  if (registry_manifest (place->registry, NULL, digest, ret_text, ret_len, &got, err) < 0)
    return -err->code;
  return image_cache_put (place->cache, digest, *ret_text, *ret_len, err);
}

/* A registry that does not tell the digest of a tag sends the document each time. */
static int manifest_by_tag (const struct image_place *place, const char *tag, char **ret_text,
                            size_t *ret_len, struct checksum *ret_digest, struct err *err)
{
  int ret = registry_tag_digest (place->registry, tag, ret_digest, err);

  if (ret == 0)
    return manifest_by_digest (place, ret_digest, ret_text, ret_len, err);
  if (ret != -EOPNOTSUPP)
    return ret;
  err_release (err);
  const struct checksum none = {.kind = CHECKSUM_NONE};
  if (registry_manifest (place->registry, tag, &none, ret_text, ret_len, ret_digest, err) < 0)
    return -err->code;
  return image_cache_put (place->cache, ret_digest, *ret_text, *ret_len, err);
}

int image_place_top (const struct image_place *place, const char *tag,
                     const struct checksum *digest, char **ret_text, size_t *ret_len,
                     struct checksum *ret_digest, struct err *err)
{
  char *text = NULL;
  size_t len = 0;
  int ret;

  if (digest->kind == CHECKSUM_NONE) {
    ret = manifest_by_tag (place, tag, &text, &len, ret_digest, err);
  } else {
    *ret_digest = *digest;
    ret = manifest_by_digest (place, digest, &text, &len, err);
  }
  if (ret < 0) {
    free (text);
    return ret;
  }
  *ret_text = text;
  *ret_len = len;
  return 0;
}

static int document_of_registry (const struct image_place *place,
                                 const struct image_descriptor *what, char **ret_text,
                                 size_t *ret_len, struct err *err)
{
  if (image_kind_by_media_type (what->media_type) != IMAGE_KIND_CONFIG)
    return manifest_by_digest (place, &what->digest, ret_text, ret_len, err);
  int ret = image_cache_get (place->cache, &what->digest, ret_text, ret_len, err);
  if (ret)
    return ret < 0 ? ret : 0;
  if (image_place_get (place, what, 1, err) < 0)
    return -err->code;
  ret = image_cache_get (place->cache, &what->digest, ret_text, ret_len, err);
  if (ret == 0)
    return err_code (err, EIO, "what was put into the cache of images is not there");
  return ret < 0 ? ret : 0;
}

int image_place_document (const struct image_place *place, const struct image_descriptor *what,
                          char **ret_text, size_t *ret_len, struct err *err)
{
  autofree char *text = NULL;
  autoclose int fd = -1;
  size_t len = 0;

  if (place->layout_fd < 0) {
    if (document_of_registry (place, what, &text, &len, err) < 0)
      return -err->code;
  } else if (open_in_layout (place, &what->digest, &fd, err) < 0 ||
             read_document (fd, &what->digest, &text, &len, err) < 0) {
    return -err->code;
  }
  if (len != what->size)
    return err_code (err, EBADMSG, "a document of the image has %zu bytes, expected are %llu", len,
                     (unsigned long long) what->size);
  *ret_text = steal_ptr (&text);
  *ret_len = len;
  return 0;
}

int image_place_get (const struct image_place *place, const struct image_descriptor *layers,
                     size_t count, struct err *err)
{
  struct name {
    char text[CHECKSUM_TEXT_SIZE];
  };
  autofree struct registry_blob *blobs = xcalloc (count + 1, sizeof *blobs);
  autofree struct name *names = xcalloc (count + 1, sizeof *names);

  if (place->layout_fd >= 0)
    return 0;
  for (size_t i = 0; i < count; i++) {
    blobs[i] = (struct registry_blob){.descriptor = &layers[i], .name = names[i].text};
    if (image_cache_place (place->cache, &layers[i].digest, &blobs[i].dir_fd, names[i].text, err) <
        0)
      return -err->code;
  }
  return registry_blobs (place->registry, blobs, count, err);
}

int image_place_open (const struct image_place *place, const struct image_descriptor *layer,
                      int *ret_fd, struct err *err)
{
  char text[CHECKSUM_TEXT_SIZE];

  if (place->layout_fd >= 0)
    return open_in_layout (place, &layer->digest, ret_fd, err);
  int fd = image_cache_blob (place->cache, &layer->digest, err);
  checksum_format (&layer->digest, text);
  if (fd < 0)
    return err->code ? -err->code : err_errno (err, "open %s of the cache of images", text);
  *ret_fd = fd;
  return 0;
}
