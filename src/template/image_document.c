/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image_document.h"
#include "image_json.h"
#include "image_ref.h"
#include "util/strbuf.h"

static const char ref_name[] = "org.opencontainers.image.ref.name";

enum image_kind image_kind_by_media_type (const char *media_type)
{
  static const struct {
    const char *media_type;
    enum image_kind kind;
  } known[] = {
      {"application/vnd.oci.image.index.v1+json", IMAGE_KIND_INDEX},
      {"application/vnd.docker.distribution.manifest.list.v2+json", IMAGE_KIND_INDEX},
      {"application/vnd.oci.image.manifest.v1+json", IMAGE_KIND_MANIFEST},
      {"application/vnd.docker.distribution.manifest.v2+json", IMAGE_KIND_MANIFEST},
      {"application/vnd.oci.image.config.v1+json", IMAGE_KIND_CONFIG},
      {"application/vnd.docker.container.image.v1+json", IMAGE_KIND_CONFIG},
      {"application/vnd.oci.image.layer.v1.tar", IMAGE_KIND_LAYER},
      {"application/vnd.oci.image.layer.v1.tar+gzip", IMAGE_KIND_LAYER},
      {"application/vnd.oci.image.layer.v1.tar+zstd", IMAGE_KIND_LAYER},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar", IMAGE_KIND_LAYER},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", IMAGE_KIND_LAYER},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", IMAGE_KIND_LAYER},
      {"application/vnd.docker.image.rootfs.diff.tar", IMAGE_KIND_LAYER},
      {"application/vnd.docker.image.rootfs.diff.tar.gzip", IMAGE_KIND_LAYER},
      {"application/vnd.docker.image.rootfs.diff.tar.zstd", IMAGE_KIND_LAYER},
      {"application/vnd.docker.image.rootfs.foreign.diff.tar", IMAGE_KIND_LAYER},
      {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", IMAGE_KIND_LAYER},
  };

  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strcmp (known[i].media_type, media_type) == 0)
      return known[i].kind;
  return IMAGE_KIND_UNKNOWN;
}

static void release_descriptor (struct image_descriptor *descriptor)
{
  free (descriptor->media_type);
  *descriptor = (struct image_descriptor){0};
}

static void release_entry (struct image_index_entry *entry)
{
  release_descriptor (&entry->descriptor);
  free (entry->name);
  free (entry->os);
  free (entry->architecture);
  free (entry->variant);
  *entry = (struct image_index_entry){0};
}

void image_index_release (struct image_index *index)
{
  int saved = errno;

  for (size_t i = 0; i < index->count; i++)
    release_entry (&index->entries[i]);
  free (index->entries);
  *index = (struct image_index){0};
  errno = saved;
}

void image_manifest_release (struct image_manifest *manifest)
{
  int saved = errno;

  release_descriptor (&manifest->config);
  for (size_t i = 0; i < manifest->layer_count; i++)
    release_descriptor (&manifest->layers[i]);
  free (manifest->layers);
  *manifest = (struct image_manifest){0};
  errno = saved;
}

static int parse_descriptor (json_object *object, struct image_descriptor *descriptor,
                             struct err *err)
{
  char *digest = NULL;
  json_object *size = NULL;

  if (!json_object_is_type (object, json_type_object))
    return err_code (err, EBADMSG, "a descriptor is no object");
  if (image_json_text (object, "mediaType", /* needed= */ true, &descriptor->media_type, err) < 0 ||
      image_json_text (object, "digest", /* needed= */ true, &digest, err) < 0)
    return -err->code;
  autofree char *owned = digest;
  if (image_digest_parse (owned, &descriptor->digest, err) < 0)
    return -err->code;
  if (!json_object_object_get_ex (object, "size", &size) ||
      !json_object_is_type (size, json_type_int) || json_object_get_int64 (size) < 0 ||
      (uint64_t) json_object_get_int64 (size) > IMAGE_LAYER_MAX)
    return err_code (err, EBADMSG, "\"size\" of %.150s is missing or is no sensible size", owned);
  descriptor->size = (uint64_t) json_object_get_int64 (size);
  return 0;
}

static int parse_platform (json_object *object, struct image_index_entry *entry, struct err *err)
{
  json_object *platform = NULL;

  if (image_json_object (object, "platform", &platform, err) < 0)
    return -err->code;
  if (!platform)
    return 0;
  if (image_json_text (platform, "os", /* needed= */ true, &entry->os, err) < 0 ||
      image_json_text (platform, "architecture", /* needed= */ true, &entry->architecture, err) <
          0 ||
      image_json_text (platform, "variant", /* needed= */ false, &entry->variant, err) < 0)
    return err_wrap (err, "\"platform\"");
  return 0;
}

static int parse_entry (json_object *object, struct image_index_entry *entry, struct err *err)
{
  json_object *annotations = NULL;

  if (parse_descriptor (object, &entry->descriptor, err) < 0 ||
      parse_platform (object, entry, err) < 0 ||
      image_json_object (object, "annotations", &annotations, err) < 0)
    return -err->code;
  if (annotations &&
      image_json_text (annotations, ref_name, /* needed= */ false, &entry->name, err) < 0)
    return err_wrap (err, "\"annotations\"");
  if (entry->descriptor.size > IMAGE_DOCUMENT_MAX)
    return err_code (err, EBADMSG, "a manifest of %llu bytes",
                     (unsigned long long) entry->descriptor.size);
  return 0;
}

/* An index may have something else than images. */
static int add_entry (json_object *object, struct image_index *index, struct err *err)
{
  __attribute__ ((cleanup (release_entry))) struct image_index_entry entry = {0};

  if (parse_entry (object, &entry, err) < 0)
    return -err->code;
  enum image_kind kind = image_kind_by_media_type (entry.descriptor.media_type);
  if (kind != IMAGE_KIND_INDEX && kind != IMAGE_KIND_MANIFEST)
    return 0;
  index->entries[index->count++] = entry;
  entry = (struct image_index_entry){0};
  return 0;
}

static int parse_index (json_object *object, struct image_index *ret_index, struct err *err)
{
  autoimageindex struct image_index index = {0};
  json_object *list = NULL;

  if (image_json_list (object, "manifests", IMAGE_INDEX_MAX, &list, err) < 0)
    return -err->code;
  size_t count = list ? json_object_array_length (list) : 0;
  index.entries = xcalloc (count + 1, sizeof *index.entries);
  for (size_t i = 0; i < count; i++)
    if (add_entry (json_object_array_get_idx (list, i), &index, err) < 0)
      return err_wrap (err, "manifest %zu of the index", i + 1);
  *ret_index = index;
  index = (struct image_index){0};
  return 0;
}

static int parse_layer (json_object *object, struct image_descriptor *layer, struct err *err)
{
  if (parse_descriptor (object, layer, err) < 0)
    return -err->code;
  if (image_kind_by_media_type (layer->media_type) != IMAGE_KIND_LAYER)
    return err_code (err, EBADMSG, "the media type \"%.100s\" is of no layer that vguest knows",
                     layer->media_type);
  return 0;
}

static int parse_manifest (json_object *object, struct image_manifest *ret_manifest,
                           struct err *err)
{
  autoimagemanifest struct image_manifest manifest = {0};
  json_object *config = NULL, *list = NULL;

  if (image_json_object (object, "config", &config, err) < 0 ||
      image_json_list (object, "layers", IMAGE_LAYERS_MAX, &list, err) < 0)
    return -err->code;
  if (!config || !list)
    return err_code (err, EBADMSG, "\"%s\" is missing", config ? "layers" : "config");
  if (parse_descriptor (config, &manifest.config, err) < 0)
    return err_wrap (err, "\"config\"");
  if (image_kind_by_media_type (manifest.config.media_type) != IMAGE_KIND_CONFIG)
    return err_code (err, EBADMSG, "it is no image of a system, but \"%.100s\"",
                     manifest.config.media_type);
  if (manifest.config.size > IMAGE_DOCUMENT_MAX)
    return err_code (err, EBADMSG, "a config of %llu bytes",
                     (unsigned long long) manifest.config.size);
  size_t count = json_object_array_length (list);
  manifest.layers = xcalloc (count + 1, sizeof *manifest.layers);
  for (size_t i = 0; i < count; i++) {
    manifest.layer_count++;
    if (parse_layer (json_object_array_get_idx (list, i), &manifest.layers[i], err) < 0)
      return err_wrap (err, "layer %zu", i + 1);
  }
  *ret_manifest = manifest;
  manifest = (struct image_manifest){0};
  return 0;
}

/* By members; the media type must not say anything else. */
static int find_kind (json_object *object, enum image_kind *ret_kind, struct err *err)
{
  bool index = json_object_object_get_ex (object, "manifests", NULL);
  bool manifest = json_object_object_get_ex (object, "layers", NULL) ||
                  json_object_object_get_ex (object, "config", NULL);
  json_object *version = NULL;
  char *media_type = NULL;

  if (json_object_object_get_ex (object, "fsLayers", NULL))
    return err_code (err, EBADMSG,
                     "it has Docker's schema 1, which cannot be verified: push it again with a "
                     "newer tool");
  if (index == manifest)
    return err_code (err, EBADMSG,
                     index ? "refused: it can be read as an index and as a manifest"
                           : "it is neither an index nor a manifest of an image");
  if (!json_object_object_get_ex (object, "schemaVersion", &version) ||
      !json_object_is_type (version, json_type_int) || json_object_get_int64 (version) != 2)
    return err_code (err, EBADMSG, "\"schemaVersion\" is not 2");
  if (image_json_text (object, "mediaType", /* needed= */ false, &media_type, err) < 0)
    return -err->code;
  autofree char *owned = media_type;
  *ret_kind = index ? IMAGE_KIND_INDEX : IMAGE_KIND_MANIFEST;
  if (owned && image_kind_by_media_type (owned) != *ret_kind)
    return err_code (err, EBADMSG, "refused: its media type is \"%.100s\", which it is not", owned);
  return 0;
}

int image_parse (const char *text, size_t len, const char *what, enum image_kind *ret_kind,
                 struct image_index *ret_index, struct image_manifest *ret_manifest,
                 struct err *err)
{
  autojson json_object *object = NULL;
  enum image_kind kind = IMAGE_KIND_UNKNOWN;

  if (image_json_parse (text, len, what, &object, err) < 0)
    return -err->code;
  if (find_kind (object, &kind, err) < 0 ||
      (kind == IMAGE_KIND_INDEX ? parse_index (object, ret_index, err)
                                : parse_manifest (object, ret_manifest, err)) < 0)
    return err_wrap (err, "%s", what);
  *ret_kind = kind;
  return 0;
}

static void list_entry (struct strbuf *list, const struct image_index_entry *entry)
{
  strbuf_addf (list, "%s", list->len ? ", " : "");
  if (entry->name)
    strbuf_addf (list, "%.100s ", entry->name);
  if (entry->os)
    strbuf_addf (list, "%.30s/%.30s%s%.10s", entry->os, entry->architecture,
                 entry->variant ? "/" : "", entry->variant ? entry->variant : "");
  else if (!entry->name)
    strbuf_adds (list, "one without a name and platform");
}

const struct image_index_entry *image_index_choose (const struct image_index *index,
                                                    const char *name,
                                                    const struct image_platform *platform,
                                                    struct err *err)
{
  autostrbuf struct strbuf list = STRBUF_INIT (2000);
  const struct image_index_entry *best = NULL, *bare = NULL;
  unsigned best_match = 0;
  size_t named = 0;

  for (size_t i = 0; i < index->count; i++) {
    const struct image_index_entry *entry = &index->entries[i];

    list_entry (&list, entry);
    if (name && (!entry->name || strcmp (entry->name, name) != 0))
      continue;
    named++;
    if (!entry->os) {
      bare = entry;
      continue;
    }
    unsigned match =
        image_platform_match (platform, entry->os, entry->architecture, entry->variant);
    if (match > best_match) {
      best_match = match;
      best = entry;
    }
  }
  if (!best && named == 1)
    best = bare;
  if (best)
    return best;
  autofree char *wanted = image_platform_format (platform);
  if (bare && named > 1)
    err_code (err, ENOENT, "there are several images: name one of %s", strbuf_str (&list));
  else if (!index->count)
    err_code (err, ENOENT, "the index has no images");
  else if (name && !named)
    err_code (err, ENOENT, "there is no image called \"%s\"; there are: %s", name,
              strbuf_str (&list));
  else
    err_code (err, ENOENT, "there is no image for %s; there are: %s", wanted, strbuf_str (&list));
  return NULL;
}
