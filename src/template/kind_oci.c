/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image of containers as a source: "image", its name as image_ref.h has it, with an absolute
 * path; "platform"; "config", whether the image's config becomes settings of guests; and sizes and
 * devices as archives have them. */
#include "template/image_archive.h"
#include "template/image_find.h"
#include "template/image_guest.h"
#include "template/image_layer.h"
#include "template/kind.h"
#include "template/net.h"
#include "template/unpack.h"
#include "util/fd.h"
#include "util/progress.h"
#include <inttypes.h>

static const char staging_name[] = "image";

struct oci_source {
  struct image_ref ref;           /* owned */
  struct image_platform platform; /* this host's without "platform" */
  uint64_t max_size;              /* bytes of all layers, as they come */
  uint64_t max_unpacked;          /* of them unpacked; 0: by their size */
  bool config;
  bool devices;
};

static int from_text (const char *text, json_object *source, struct err *err)
{
  autoimageref struct image_ref ref = {0};

  if (!image_ref_is (text))
    return 0;
  if (image_ref_parse (text, &ref, err) < 0)
    return -err->code;
  if (ref.path) {
    char *path = realpath (ref.path, NULL);

    if (!path)
      return err_errno (err, "open %s", ref.path);
    free (ref.path);
    ref.path = path;
    if (strchr (path, ':'))
      return err_code (err, ERR_USAGE, "%s: a path with \":\" cannot be named so", path);
  }
  autofree char *image = image_ref_format (&ref);
  json_set_string (source, "image", image);
  return 1;
}

static void *parse (struct check *check, json_object *source)
{
  struct oci_source *oci = xcalloc (1, sizeof *oci);
  const char *image = check_string (check, source, "image", true);
  const char *platform = check_string (check, source, "platform", false);
  autoerr struct err err = {0};

  if (image && image_ref_parse (image, &oci->ref, &err) < 0)
    check_add (check, "image", "%s", err_text (&err));
  else if (image && oci->ref.path && oci->ref.path[0] != '/')
    check_add (check, "image", "must have an absolute path");
  err_release (&err);
  image_platform_host (&oci->platform);
  if (platform && image_platform_parse (platform, &oci->platform, &err) < 0)
    check_add (check, "platform", "%s", err_text (&err));
  oci->max_size = check_size (check, source, "max_size", UINT64_MAX);
  oci->max_unpacked = check_size (check, source, "max_unpacked", 0);
  oci->config = check_bool (check, source, "config", true);
  oci->devices = check_bool (check, source, "devices", false);
  return oci;
}

static void release (void *data)
{
  struct oci_source *oci = data;

  image_ref_release (&oci->ref);
  free (oci);
}

static char *describe (const void *data)
{
  const struct oci_source *oci = data;

  return image_ref_format (&oci->ref);
}

/* What may come out of @size bytes. */
static uint64_t budget_for (const struct oci_source *oci, uint64_t size)
{
  if (oci->max_unpacked)
    return oci->max_unpacked;
  if (size > UINT64_MAX / UNPACK_RATIO)
    return UINT64_MAX;
  return size * UNPACK_RATIO > UNPACK_FREE ? size * UNPACK_RATIO : UNPACK_FREE;
}

static int check_layers_size (const struct oci_source *oci, const struct image_manifest *manifest,
                              uint64_t *ret_size, struct err *err)
{
  uint64_t size = 0;

  /* IMAGE_LAYERS_MAX times IMAGE_LAYER_MAX is no overflow. */
  for (size_t i = 0; i < manifest->layer_count; i++)
    size += manifest->layers[i].size;
  if (size > oci->max_size)
    return err_code (err, EFBIG,
                     "refused: its layers have %" PRIu64 " bytes, and at most %" PRIu64
                     " are allowed",
                     size, oci->max_size);
  *ret_size = size;
  return 0;
}

static int apply_layers (const struct image_place *place, const struct image *image,
                         uint64_t budget, struct import *import, struct err *err)
{
  for (size_t i = 0; i < image->manifest.layer_count; i++) {
    const struct image_descriptor *descriptor = &image->manifest.layers[i];
    struct image_layer layer = {.descriptor = descriptor,
                                .diff_id = &image->config.diff_ids[i],
                                .fd = -1,
                                .budget = &budget};
    autoclose int fd = -1;

    if (image_place_open (place, descriptor, &fd, err) < 0)
      return -err->code;
    layer.fd = fd;
    if (image_layer_apply (&import->writer, &layer, err) < 0)
      return err_wrap (err, "layer %zu of %zu", i + 1, image->manifest.layer_count);
  }
  progress_clear ();
  return 0;
}

static void note (const struct oci_source *oci, const struct image *image, struct import *import)
{
  char top[CHECKSUM_TEXT_SIZE], manifest[CHECKSUM_TEXT_SIZE];

  checksum_format (&image->top, top);
  checksum_format (&image->digest, manifest);
  import_note_version (import, "digest", top);
  import_note_version (import, "manifest", manifest);
  if (oci->ref.digest.kind != CHECKSUM_NONE)
    import_note_verified (import, IMPORT_VOUCH_DIGEST, "image", "digest", top);
}

static int fetch_from (const struct oci_source *oci, const struct image_place *place,
                       struct import *import, struct err *err)
{
  autoimage struct image image = {0};
  uint64_t size = 0;

  if (image_find (place, &oci->ref, &oci->platform, &image, err) < 0 ||
      check_layers_size (oci, &image.manifest, &size, err) < 0 ||
      image_place_get (place, image.manifest.layers, image.manifest.layer_count, err) < 0)
    return -err->code;
  progress_clear ();
  import->writer.harmless = !oci->devices;
  if (apply_layers (place, &image, budget_for (oci, size), import, err) < 0 ||
      (oci->config && image_guest (&image.config, import->guest, err) < 0))
    return -err->code;
  note (oci, &image, import);
  return 0;
}

static int fetch_layout (const struct oci_source *oci, struct import *import, struct err *err)
{
  autoclose int fd = open (oci->ref.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const struct image_place place = {.layout_fd = fd};

  if (fd < 0)
    return err_errno (err, "open %s", oci->ref.path);
  return fetch_from (oci, &place, import, err);
}

static int open_archive (const struct oci_source *oci, int *ret_fd, uint64_t *ret_size,
                         struct err *err)
{
  autoclose int fd = open (oci->ref.path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0)
    return err_errno (err, "open %s", oci->ref.path);
  if (S_ISDIR (st.st_mode))
    return err_code (err, EISDIR, "%s is a directory: that is oci:DIR", oci->ref.path);
  *ret_size = (uint64_t) st.st_size;
  *ret_fd = steal_fd (&fd);
  return 0;
}

static int fetch_archive (const struct oci_source *oci, struct import *import, struct err *err)
{
  autoclose int dir_fd = fd_make_dir (import->temp_fd, staging_name, 0700);
  const struct image_place place = {.layout_fd = dir_fd};
  autoclose int fd = -1;
  uint64_t size = 0;

  if (dir_fd < 0)
    return err_errno (err, "make a directory in staging");
  if (open_archive (oci, &fd, &size, err) < 0 ||
      image_archive_unpack (fd, dir_fd, budget_for (oci, size), err) < 0 ||
      fetch_from (oci, &place, import, err) < 0)
    return -err->code;
  return fd_remove_tree (import->temp_fd, staging_name, err);
}

/* A session with the registry. */
struct session {
  struct fetch *fetch;         /* owned */
  struct registry_creds creds; /* owned */
  struct registry registry;    /* owned */
};

static void close_session (struct session *session)
{
  registry_release (&session->registry);
  registry_creds_release (&session->creds);
  cleanup_fetch (&session->fetch);
}
#define autosession __attribute__ ((cleanup (close_session)))

/* @creds may be NULL: what the administrator has of that registry. */
static int open_session (const struct image_ref *ref, const char *creds, struct session *session,
                         struct err *err)
{
  int ret = creds ? registry_creds_parse (creds, &session->creds, err)
                  : registry_creds_find (ref->host, ref->repository, &session->creds, err);

  if (ret < 0 || net_open (&session->fetch, err) < 0)
    return -err->code;
  registry_open (session->fetch, ref, &session->creds, &session->registry);
  return 0;
}

static int fetch_registry (const struct oci_source *oci, struct import *import, struct err *err)
{
  autosession struct session session = {0};
  autoimagecache struct image_cache cache = IMAGE_CACHE_INIT;
  const struct image_place place = {
      .layout_fd = -1, .registry = &session.registry, .cache = &cache};

  if (open_session (&oci->ref, import->options->creds, &session, err) < 0 ||
      image_cache_open (import->root, &cache, err) < 0)
    return -err->code;
  return fetch_from (oci, &place, import, err);
}

static int fetch (const void *data, struct import *import, struct err *err)
{
  const struct oci_source *oci = data;

  switch (oci->ref.transport) {
  case IMAGE_LAYOUT:
    return fetch_layout (oci, import, err);
  case IMAGE_ARCHIVE:
    return fetch_archive (oci, import, err);
  default:
    return fetch_registry (oci, import, err);
  }
}

static bool is_known (const char *known, const struct checksum *digest)
{
  char text[CHECKSUM_TEXT_SIZE];

  if (!known || digest->kind == CHECKSUM_NONE)
    return false;
  checksum_format (digest, text);
  return strcmp (known, text) == 0;
}

/* What the version says of an image that was imported; strings are borrowed, and may be NULL. */
struct known {
  const char *top;
  const char *manifest;
};

/* Was it an index that was found? */
static bool was_index (const struct known *known)
{
  return known->top && known->manifest && strcmp (known->top, known->manifest) != 0;
}

/* What a tag names now. An index changes with the image of each machine: what counts is the
 * manifest behind it, which then comes out as @ret_top, known as it is. */
static int ask_registry (const struct oci_source *oci, const struct known *known,
                         struct checksum *ret_top, struct err *err)
{
  const struct checksum none = {.kind = CHECKSUM_NONE};
  struct checksum manifest = none, top = oci->ref.digest;
  autosession struct session session = {0};
  autofree char *text = NULL;
  size_t len = 0;

  *ret_top = top;
  if (top.kind != CHECKSUM_NONE)
    return 0;
  if (open_session (&oci->ref, NULL, &session, err) < 0)
    return -err->code;
  int ret = registry_tag_digest (&session.registry, oci->ref.tag, &top, err);
  if (ret < 0 && ret != -EOPNOTSUPP)
    return ret;
  *ret_top = top;
  if (ret == 0 && (is_known (known->top, &top) || !was_index (known)))
    return 0;
  err_release (err);
  if (registry_manifest (&session.registry, oci->ref.tag, ret == 0 ? &top : &none, &text, &len,
                         ret_top, err) < 0)
    return -err->code;
  if (!was_index (known))
    return 0;
  if (image_find_manifest (text, len, ret_top, &oci->platform, &manifest, err) < 0)
    return -err->code;
  if (is_known (known->manifest, &manifest))
    *ret_top = manifest;
  return 0;
}

static int ask_index (const struct oci_source *oci, struct checksum *ret_top, struct err *err)
{
  autoclose int fd = -1;
  autofree char *text = NULL;
  uint64_t size = 0;
  size_t len = 0;

  if (oci->ref.transport == IMAGE_ARCHIVE) {
    if (open_archive (oci, &fd, &size, err) < 0 || image_archive_index (fd, &text, &len, err) < 0)
      return -err->code;
  } else {
    fd = open (oci->ref.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
      return err_errno (err, "open %s", oci->ref.path);
    const struct image_place place = {.layout_fd = fd};
    if (image_place_index (&place, &text, &len, err) < 0)
      return -err->code;
  }
  return image_find_in_index (text, len, &oci->ref, &oci->platform, ret_top, err);
}

static int probe (const void *data, json_object *version, struct freshness *ret_freshness,
                  struct err *err)
{
  const struct oci_source *oci = data;
  struct checksum top = {.kind = CHECKSUM_NONE};
  struct known known = {0};
  char text[CHECKSUM_TEXT_SIZE];

  if (version && (json_get_string (version, "digest", NULL, &known.top, err) < 0 ||
                  json_get_string (version, "manifest", NULL, &known.manifest, err) < 0))
    return -err->code;
  if ((oci->ref.transport == IMAGE_REGISTRY ? ask_registry (oci, &known, &top, err)
                                            : ask_index (oci, &top, err)) < 0)
    return -err->code;
  checksum_format (&top, text);
  ret_freshness->newer = !is_known (known.top, &top) && !is_known (known.manifest, &top);
  ret_freshness->what = xstrdup (text);
  return 0;
}

static const char *const keys[] = {"image",        "platform", "config", "max_size",
                                   "max_unpacked", "devices",  NULL};
const struct source_kind kind_oci = {
    .name = "oci",
    .summary = "an image of containers",
    .keys = keys,
    .from_text = from_text,
    .parse = parse,
    .release = release,
    .describe = describe,
    .fetch = fetch,
    .probe = probe,
};
